"""The blocks against torch's own with the same weights, and the Transformer as a whole."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn.attention import (
    DecoderBlock,
    EncoderBlock,
    MultiHeadAttention,
    Transformer,
    TransformerConfig,
    attention,
    causal_mask,
    sinusoidal_positions,
)

D, HEADS, HIDDEN = 24, 4, 40
B, T, S = 3, 5, 7


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


def drawn(module: nn.Module) -> nn.Module:
    """Every parameter at random: norms of ones and biases of zeros would hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)
    return module.eval()


def tie_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    """Their query, key and value are one tensor."""
    for row, part in enumerate((ours.query, ours.key, ours.value)):
        part.load_state_dict({"weight": theirs.in_proj_weight.chunk(3)[row], "bias": theirs.in_proj_bias.chunk(3)[row]})
    ours.out.load_state_dict(theirs.out_proj.state_dict())


def tie(ours: nn.Module, theirs: nn.Module, names: dict[str, str]) -> None:
    for name, peer in names.items():
        own, other = ours.get_submodule(name), theirs.get_submodule(peer)
        if isinstance(own, MultiHeadAttention):
            assert isinstance(other, nn.MultiheadAttention)
            tie_attention(own, other)
        else:
            own.load_state_dict(other.state_dict())


def tied_encoder(norm_first: bool, act: str = "relu", eps: float = 1e-5) -> tuple[nn.Module, nn.Module]:
    theirs = drawn(
        nn.TransformerEncoderLayer(
            D, HEADS, HIDDEN, activation=act, norm_first=norm_first, batch_first=True, layer_norm_eps=eps
        )
    )
    ours = EncoderBlock(D, HEADS, HIDDEN, norm_first=norm_first, act=nn.GELU() if act == "gelu" else None, eps=eps)
    names = {"attention": "self_attn", "attention_norm": "norm1", "feed_norm": "norm2"}
    tie(ours, theirs, names | {"feed.0": "linear1", "feed.3": "linear2"})
    return ours.eval(), theirs


def tied_decoder() -> tuple[nn.Module, nn.Module]:
    theirs = drawn(nn.TransformerDecoderLayer(D, HEADS, HIDDEN, batch_first=True))
    ours = DecoderBlock(D, HEADS, HIDDEN)
    names = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
    names |= {
        "self_norm": "norm1",
        "cross_norm": "norm2",
        "feed_norm": "norm3",
        "feed.0": "linear1",
        "feed.3": "linear2",
    }
    tie(ours, theirs, names)
    return ours.eval(), theirs


def same(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= 1e-5 * theirs.abs().max())


def random_mask(*shape: int) -> Tensor:
    """True where a query may look; every query may look somewhere."""
    mask = torch.rand(*shape) < 0.6
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_torchs(masked: bool) -> None:
    q, k, v = torch.randn(B, HEADS, T, D), torch.randn(B, HEADS, S, D), torch.randn(B, HEADS, S, D + 1)
    mask = random_mask(B, 1, T, S) if masked else None
    out = attention(q, k, v, mask)
    assert out.shape == (B, HEADS, T, D + 1)
    assert same(out, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


def test_a_masked_key_has_no_weight() -> None:
    q, k, v = torch.randn(T, D), torch.randn(S, D), torch.randn(S, D)
    mask = torch.ones(T, S, dtype=torch.bool)
    mask[:, 3] = False
    kept = [position for position in range(S) if position != 3]
    assert same(attention(q, k, v, mask), attention(q, k[kept], v[kept]))


def test_causal_mask_shows_the_past() -> None:
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_sinusoidal_positions_follow_the_formula() -> None:
    """PE(p, 2i) = sin(p / 10000^(2i/d)) and PE(p, 2i+1) = cos of the same."""
    table = sinusoidal_positions(50, 6)
    assert table.shape == (50, 6)
    for position in (0, 1, 49):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_sinusoidal_positions_need_an_even_width() -> None:
    with pytest.raises(InputError, match="even width, not 5"):
        sinusoidal_positions(4, 5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("crossed", [False, True])
def test_multi_head_attention_is_torchs(crossed: bool, masked: bool) -> None:
    theirs = drawn(nn.MultiheadAttention(D, HEADS, batch_first=True))
    assert isinstance(theirs, nn.MultiheadAttention)
    ours = MultiHeadAttention(D, HEADS).eval()
    tie_attention(ours, theirs)
    x = torch.randn(B, T, D)
    memory = torch.randn(B, S, D) if crossed else x
    mask = random_mask(B, HEADS, T, memory.shape[1]) if masked else None
    expected, _ = theirs(x, memory, memory, attn_mask=None if mask is None else ~mask.flatten(0, 1))
    assert same(ours(x, memory if crossed else None, mask), expected)


def test_the_width_is_divided_among_the_heads() -> None:
    with pytest.raises(InputError, match=r"the width \(=10\) must be divisible by the heads \(=3\)"):
        MultiHeadAttention(10, 3)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("act", "eps"), [("relu", 1e-5), ("gelu", 1e-6)])
@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_block_is_torchs(norm_first: bool, act: str, eps: float, masked: bool) -> None:
    ours, theirs = tied_encoder(norm_first, act, eps)
    x = torch.randn(B, T, D)
    mask = random_mask(T, T) if masked else None
    assert same(ours(x, mask), theirs(x, None if mask is None else ~mask))


@pytest.mark.parametrize("masked", [False, True])
def test_decoder_block_is_torchs(masked: bool) -> None:
    ours, theirs = tied_decoder()
    x, memory = torch.randn(B, T, D), torch.randn(B, S, D)
    mask, seen = (causal_mask(T), random_mask(B, S)) if masked else (None, None)
    expected = theirs(
        x,
        memory,
        tgt_mask=None if mask is None else ~mask,
        memory_key_padding_mask=None if seen is None else ~seen,
    )
    assert same(ours(x, memory, mask, None if seen is None else seen[:, None, None]), expected)


def test_gradients_are_torchs() -> None:
    ours, theirs = tied_encoder(norm_first=True)
    x, y = (torch.ones(B, T, D).cumsum(1).sin().requires_grad_() for _ in range(2))
    for block, given in ((ours, x), (theirs, y)):
        block(given).square().sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert same(x.grad, y.grad)


@pytest.mark.parametrize("option", ["dropout", "drop_path"])
def test_what_training_drops_is_kept_in_evaluation(option: str) -> None:
    block = EncoderBlock(D, HEADS, HIDDEN, **{option: 0.5})
    x = torch.randn(64, T, D)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


SMALL = TransformerConfig(d=D, heads=HEADS, hidden=HIDDEN, blocks=2, longest=16)
TOKENS = 11


def transformer() -> Transformer:
    return Transformer(TOKENS, SMALL).eval()


def test_a_transformer_gives_logits_for_every_position() -> None:
    model = transformer()
    logits = model(torch.randint(TOKENS, (B, S)), torch.randint(TOKENS, (B, T)))
    assert logits.shape == (B, T, TOKENS)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_papers_model_has_its_parameters() -> None:
    """Table 3, base ("65 million"), with the 37,000 shared tokens of Sec. 5.1."""
    with torch.device("meta"):
        model = Transformer(37_000)
    embedding, heads, feed = 37_000 * 512, 4 * (512 * 512 + 512), 2 * 512 * 2048 + 2048 + 512
    encoder, decoder = heads + feed + 2 * 1024, 2 * heads + feed + 3 * 1024
    assert sum(parameter.numel() for parameter in model.parameters()) == embedding + 6 * encoder + 6 * decoder


def test_a_position_does_not_depend_on_later_tokens() -> None:
    model = transformer()
    source, target = torch.randint(TOKENS, (B, S)), torch.randint(TOKENS, (B, T))
    before = model(source, target)
    for t in range(1, T):
        changed = target.clone()
        changed[:, t:] = (changed[:, t:] + 1) % TOKENS
        after = model(source, changed)
        assert same(after[:, :t], before[:, :t])
        assert not same(after[:, t:], before[:, t:])


def test_padding_of_the_source_changes_nothing() -> None:
    model = transformer()
    source, target = torch.randint(TOKENS, (B, S)), torch.randint(TOKENS, (B, T))
    expected = model(source, target)
    for filler in (0, 1):
        padded = torch.cat([source, torch.full((B, 3), filler)], dim=1)
        mask = torch.arange(S + 3).expand(B, -1) < S
        assert same(model(padded, target, mask), expected)
        assert not same(model(padded, target), expected)


def test_order_matters() -> None:
    model = transformer()
    source, target = torch.arange(S)[None], torch.arange(T)[None]
    assert not same(model(source.flip(1), target), model(source, target))


def test_a_sequence_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(InputError, match="a sequence of 17 is longer than the 16 positions"):
        transformer()(torch.zeros(1, 17, dtype=torch.long), torch.zeros(1, 2, dtype=torch.long))
