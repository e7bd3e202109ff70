"""One sweep over every row of every family's table: a new row is tested without touching this file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.cost import count
from pennyweight.zoo import FAMILIES, create, names, variant

STATE_KEYS = Path(__file__).with_name("state_keys.json")
NAMES = [name for family in FAMILIES for name in family.variants]
FIRST = {family.title: next(iter(family.variants)) for family in FAMILIES}
STEMS = ("imagenet", "cifar")


def weightless(name: str, **options: object) -> nn.Module:
    """The network without memory: nothing is drawn, so it is made at once."""
    with torch.device("meta"):
        return create(name, **options)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", NAMES)
def test_the_claimed_costs_are_what_is_counted(name: str) -> None:
    row = variant(name)
    cost = count(weightless(name), row.input_shape)
    assert (cost.params, cost.macs) == (row.params, row.macs)
    assert cost.uncounted == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_published_accuracy_is_a_percentage_with_its_paper(name: str) -> None:
    row = variant(name)
    assert row.top1 is None or 30 < row.top1 < 95
    assert row.paper


@pytest.mark.parametrize(("stem", "in_channels"), [("imagenet", 1), ("cifar", 4)])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_and_channel_count_gives_finite_logits(name: str, stem: str, in_channels: int) -> None:
    model = create(name, num_classes=7, in_channels=in_channels, stem=stem).eval()
    with torch.inference_mode():
        for height, width in ((65, 47), (1, 1)):
            logits = model(torch.randn(1, in_channels, height, width))
            assert logits.shape == (1, 7)
            assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "stem"), [*((name, "imagenet") for name in NAMES), *((name, "cifar") for name in FIRST.values())]
)
def test_every_parameter_has_a_gradient(name: str, stem: str) -> None:
    model = create(name, num_classes=5, stem=stem)
    loss = nn.functional.cross_entropy(model(torch.randn(4, 3, 40, 40)), torch.arange(4))
    loss.backward()
    without = [
        key
        for key, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert without == []


@pytest.mark.parametrize("name", FIRST.values())
def test_a_batch_is_answered_as_its_pictures_are_one_by_one(name: str) -> None:
    model = create(name, num_classes=5, stem="cifar").eval()
    batch = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        whole = model(batch)
        assert torch.equal(whole, model(batch))
        single = torch.cat([model(picture[None]) for picture in batch])
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FIRST.values())
def test_some_steps_on_few_pictures_learn_them(name: str) -> None:
    model = create(name, num_classes=2, stem="cifar", dropout=0.0)
    pictures, targets = torch.randn(8, 3, 16, 16), torch.arange(8) % 2
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(pictures), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("name", FIRST.values())
def test_every_network_is_stem_trunk_head(name: str) -> None:
    model = create(name, num_classes=5)
    assert [part for part, _ in model.named_children()] == ["stem", "trunk", "head"]
    x = torch.randn(2, 3, 32, 32)
    model.eval()
    assert torch.equal(model(x), model.head(model.trunk(model.stem(x))))


@pytest.mark.parametrize("title", FIRST)
def test_state_keys_and_shapes_are_those_of_kept_weights(title: str) -> None:
    """A changed key would orphan every file of weights; state_keys.json is written anew only for a new family."""
    kept = json.loads(STATE_KEYS.read_text(encoding="utf-8"))[title]
    state = weightless(kept["name"]).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == kept["shapes"]
    assert list(state) == list(kept["shapes"])


@pytest.mark.parametrize("title", FIRST)
def test_every_variant_and_stem_has_the_same_state_keys(title: str) -> None:
    family = next(family for family in FAMILIES if family.title == title)
    keys = {tuple(weightless(name, stem=stem).state_dict()) for name in family.variants for stem in STEMS}
    assert len(keys) == 1


@pytest.mark.parametrize("name", FIRST.values())
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (3, 32, 32), (2, 32, 32, 3), (2, 3)])
def test_another_shape_is_refused_with_both(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        weightless(name)(torch.zeros(shape, device="meta"))
    assert "(B, 3, H, W)" in str(caught.value)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("name", FIRST.values())
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"width": 0}, "'width' must be above 0, not 0"),
        ({"width": -1.0}, "not -1.0"),
        ({"width": float("nan")}, "not nan"),
        ({"width": float("inf")}, "not inf"),
        ({"width": "wide"}, "'width' must be a number, not 'wide'"),
        ({"dropout": 1}, "'dropout' must be at least 0 and below 1, not 1"),
        ({"dropout": -0.1}, "not -0.1"),
        ({"activation": "gelu"}, "one of relu, relu6, not 'gelu'"),
        ({"activation": None}, "one of relu, relu6, not None"),
        ({"widht": 0.5}, "unknown Config field 'widht'; did you mean 'width'?"),
        ({"num_classes": 0}, "num_classes must be a whole number of at least 1, not 0"),
        ({"num_classes": 2.0}, "not 2.0"),
        ({"in_channels": "3"}, "not '3'"),
        ({"stem": "cifr"}, "unknown stem 'cifr'; did you mean 'cifar'?"),
        ({"stem": "huge"}, "unknown stem 'huge'; there are imagenet, cifar"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_value_and_the_rule(name: str, config: dict, said: str) -> None:
    with pytest.raises(InputError) as caught:
        create(name, **config)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_unique_and_in_the_order_of_the_tables() -> None:
    assert names() == NAMES
    assert len(set(NAMES)) == len(NAMES)
