"""Attention, and the Transformer of the paper built from it.

Vaswani et al. 2017, arXiv:1706.03762. The blocks equal `torch.nn.MultiheadAttention`, `TransformerEncoderLayer` and
`TransformerDecoderLayer` with the same weights; tests show it. Sequences are batch first: (B, T, d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn.init import initialize
from pennyweight.nn.stochastic_depth import StochasticDepth

__all__ = [
    "DecoderBlock",
    "EncoderBlock",
    "MultiHeadAttention",
    "Transformer",
    "TransformerConfig",
    "attention",
    "causal_mask",
    "sinusoidal_positions",
]


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(q·kᵀ/√d)·v, written out. (..., T, d), (..., S, d), (..., S, e) -> (..., T, e). Eq. 1.

    `mask` (broadcast to (..., T, S)) is True where a query may look. The networks call torch's fused form, which gives
    the same result; this form is for reading.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ v


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """Return (T, T), True where position t may look: at itself and earlier positions. Sec. 3.2.3."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def sinusoidal_positions(length: int, d: int) -> Tensor:
    """Return sin and cos of position / 10000^(2i/d), interleaved. (length, d), d even. Sec. 3.5."""
    if d % 2:
        raise InputError(f"sinusoidal positions need an even width, not {d}")
    angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class MultiHeadAttention(nn.Module):
    """Attention with `heads` parallel heads of width d/heads, joined by a linear layer. Sec. 3.2.2.

    (B, T, d), and for attention to another sequence (B, S, d) -> (B, T, d). d must be divisible by `heads`.
    """

    glorot = True  # `initialize` draws its linear layers by Glorot

    def __init__(self, d: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if d % heads:
            raise InputError(f"the width (={d}) must be divisible by the heads (={heads})")
        self.heads = heads
        self.dropout = dropout
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend to `memory`, or to x itself; `mask` is True where a query may look: (B, heads, T, S)."""
        memory = x if memory is None else memory
        q, k, v = self._split(self.query(x)), self._split(self.key(memory)), self._split(self.value(memory))
        dropout = self.dropout if self.training else 0.0
        joined = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        out: Tensor = self.out(joined.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """Split the heads: (B, T, d) -> (B, heads, T, d/heads)."""
        batch, length, d = x.shape
        return x.view(batch, length, self.heads, d // self.heads).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Linear, activation, linear, on every position. (B, T, d) -> same. Sec. 3.3."""

    glorot = True  # `initialize` draws its linear layers by Glorot

    def __init__(self, d: int, hidden: int, *, act: nn.Module, dropout: float) -> None:
        super().__init__(nn.Linear(d, hidden), act, nn.Dropout(dropout), nn.Linear(hidden, d))


class EncoderBlock(nn.Module):
    """Self-attention and feed-forward, each with residual and layer norm. (B, T, d) -> same. Fig. 1 left.

    `norm_first` normalizes before each part, as ViT does, instead of after it, as the paper does. `drop_path` is the
    probability that training skips a part for a sample (stochastic depth).
    """

    def __init__(
        self,
        d: int,
        heads: int,
        hidden: int,
        *,
        norm_first: bool = False,
        act: nn.Module | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = nn.LayerNorm(d, eps)
        self.attention = MultiHeadAttention(d, heads, dropout=dropout)
        self.feed_norm = nn.LayerNorm(d, eps)
        self.feed = FeedForward(d, hidden, act=nn.ReLU() if act is None else act, dropout=dropout)
        self.drop = nn.Sequential(nn.Dropout(dropout), StochasticDepth(drop_path))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.norm_first:
            x = x + self.drop(self.attention(self.attention_norm(x), mask=mask))
            x = x + self.drop(self.feed(self.feed_norm(x)))
        else:
            x = self.attention_norm(x + self.drop(self.attention(x, mask=mask)))
            x = self.feed_norm(x + self.drop(self.feed(x)))
        return x


class DecoderBlock(nn.Module):
    """Masked self-attention, attention to the encoder's output, feed-forward. Fig. 1 right.

    (B, T, d), (B, S, d) -> (B, T, d).
    """

    def __init__(self, d: int, heads: int, hidden: int, *, dropout: float = 0.0, eps: float = 1e-5) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(d, eps)
        self.self_attention = MultiHeadAttention(d, heads, dropout=dropout)
        self.cross_norm = nn.LayerNorm(d, eps)
        self.cross_attention = MultiHeadAttention(d, heads, dropout=dropout)
        self.feed_norm = nn.LayerNorm(d, eps)
        self.feed = FeedForward(d, hidden, act=nn.ReLU(), dropout=dropout)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.self_norm(x + self.drop(self.self_attention(x, mask=mask)))
        x = self.cross_norm(x + self.drop(self.cross_attention(x, memory, memory_mask)))
        out: Tensor = self.feed_norm(x + self.drop(self.feed(x)))
        return out


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Table 3, base."""

    d: int = 512
    heads: int = 8
    hidden: int = 2048
    blocks: int = 6
    dropout: float = 0.1
    longest: int = 512
    """Number of positions with an encoding."""


class Transformer(nn.Module):
    """Encoder and decoder of the paper. (B, S) and (B, T) token numbers -> (B, T, tokens) logits. Fig. 1.

    One embedding serves both sides and, transposed, the output (Sec. 3.4); it is scaled by √d on the way in.
    """

    positions: Tensor

    def __init__(self, tokens: int, config: TransformerConfig | None = None) -> None:
        super().__init__()
        config = config or TransformerConfig()
        d = config.d
        self.embedding = nn.Embedding(tokens, d)
        self.register_buffer("positions", sinusoidal_positions(config.longest, d), persistent=False)
        self.drop = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(
            EncoderBlock(d, config.heads, config.hidden, dropout=config.dropout) for _ in range(config.blocks)
        )
        self.decoder = nn.ModuleList(
            DecoderBlock(d, config.heads, config.hidden, dropout=config.dropout) for _ in range(config.blocks)
        )
        initialize(self)

    def forward(self, source: Tensor, target: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """Return logits (B, T, tokens) for target tokens; a target position sees no later position.

        `source_mask` (B, S) is True for tokens and False for padding.
        """
        seen = None if source_mask is None else source_mask[:, None, None, :]
        memory = self._embed(source)
        for block in self.encoder:
            memory = block(memory, seen)
        x = self._embed(target)
        mask = causal_mask(target.shape[1], target.device)
        for block in self.decoder:
            x = block(x, memory, mask, seen)
        return F.linear(x, self.embedding.weight)

    def _embed(self, tokens: Tensor) -> Tensor:
        length, longest = tokens.shape[1], self.positions.shape[0]
        if length > longest:
            raise InputError(f"a sequence of {length} is longer than the {longest} positions with an encoding")
        embedded = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        out: Tensor = self.drop(embedded + self.positions[:length])
        return out
