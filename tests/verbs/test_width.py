"""Which network auto takes for many small pictures: the widest that the minutes are enough for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pennyweight import data
from pennyweight.train import RECIPES, Ranks
from pennyweight.train.recipe import Precision
from pennyweight.verbs import plan, width
from pennyweight.verbs.resume import chosen_before
from pennyweight.verbs.width import ENOUGH, WIDTHS, widest
from pennyweight.zoo import create, variant

MANY: dict[str, Any] = {"pictures": 40_000, "size": 32, "channels": 3, "classes": 10, "precisions": ("float32",)}


@pytest.mark.parametrize(
    ("picture_s", "minutes", "name"),
    [
        (1 / 300, 10, WIDTHS[0]),  # too slow for any: the narrowest
        (1 / 700, 10, WIDTHS[0]),
        (1 / 1100, 10, WIDTHS[1]),
        (1 / 1100, 20, WIDTHS[2]),
        (1 / 100_000, 10, WIDTHS[3]),
    ],
)
def test_the_widest_that_has_enough_epochs(
    picture_s: float, minutes: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(width, "_picture_s", lambda *asked: picture_s)
    found, why = widest(minutes, **MANY, ranks=Ranks())
    assert found == name
    assert f"{minutes} minutes" in why
    epochs = int(why.split("about ")[1].split()[0])
    assert epochs >= ENOUGH or name == WIDTHS[0]


def test_the_quicker_precision_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"float32": 1 / 700, "bfloat16": 1 / 1100}
    monkeypatch.setattr(width, "_picture_s", lambda name, recipe, *asked: seconds[recipe.precision])
    assert widest(10, **MANY, ranks=Ranks())[0] == WIDTHS[0]
    assert widest(10, **MANY | {"precisions": ("float32", "bfloat16")}, ranks=Ranks())[0] == WIDTHS[1]


def test_widths_grow() -> None:
    macs = [variant(name).macs for name in WIDTHS]
    assert macs == sorted(macs)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float64", torch.float64)]
)
def test_a_picture_is_timed_here(precision: Precision, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes: list[torch.dtype] = []

    def made(*asked: Any, **options: Any) -> torch.nn.Module:
        network = create(*asked, **options)
        network.register_forward_hook(lambda module, inputs, logits: dtypes.append(logits.dtype))
        return network

    monkeypatch.setattr(width.zoo, "create", made)
    recipe = replace(RECIPES["sprint"], precision=precision)
    assert 1e-6 < width._picture_s(WIDTHS[0], recipe, 32, 3, 10, Ranks()) < 1
    assert dtypes == [dtype] * 5
    dtypes.clear()
    assert width._picture_s(WIDTHS[0], recipe, 32, 3, 10, Ranks(), 1e-9) > 1e-6
    assert len(dtypes) == 2  # the best is out of reach


@pytest.mark.parametrize(
    ("speed", "recipe", "precisions"),
    [
        (None, None, ("float32", "bfloat16")),
        ("auto", None, ("float32", "bfloat16")),
        ("fixed", None, ("float32",)),
        ("fixed", {"precision": "bfloat16"}, ("bfloat16",)),
    ],
)
def test_a_fixed_precision_is_timed_alone(
    speed: str | None, recipe: dict[str, Any] | None, precisions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def noted(minutes: float, **options: Any) -> tuple[str, str]:
        asked.append(options["precisions"])
        return WIDTHS[1], "noted"

    monkeypatch.setattr(plan, "widest", noted)
    made = plan.make_plan(
        data.open("digits"), "auto", pictures=40_000, recipe=recipe, input_size=None, stem=None, config={},
        weights=None, seed=0, minutes=10, speed=speed,
    )  # fmt: skip
    assert made.model["name"] == WIDTHS[1]
    assert asked == [precisions]


@pytest.mark.parametrize(
    ("model", "recipe"), [("vgg11", "careful"), ("vgg11_bn", "quick"), ("vit_ti_16", "careful"), ("resnet_9", "sprint")]
)
def test_networks_without_batch_norm_are_trained_with_care(model: str, recipe: str) -> None:
    made = plan.make_plan(
        data.open("digits"), model, pictures=40_000, recipe=None, input_size=32, stem=None, config={}, weights=None,
        seed=0,
    )  # fmt: skip
    assert made.recipe_name == recipe


def test_a_resume_goes_on_with_the_network_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate((WIDTHS[1], WIDTHS[0])):
        folder = tmp_path / "runs" / f"digits-{name}-1"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(f'{{"model": {{"name": "{name}"}}, "created": "2026-01-0{number + 1}"}}')
    monkeypatch.chdir(tmp_path)
    assert chosen_before(None, "digits", WIDTHS) == WIDTHS[0]  # the later one
    assert chosen_before(tmp_path / "runs" / f"digits-{WIDTHS[1]}-1", "digits", WIDTHS) == WIDTHS[1]
    assert chosen_before(tmp_path / "elsewhere", "digits", WIDTHS) is None
    assert chosen_before(None, "letters", WIDTHS) is None


def test_a_torn_record_chooses_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    assert chosen_before(tmp_path, "digits", WIDTHS) is None
