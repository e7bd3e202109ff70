"""Which network auto takes for many small pictures: the widest that the minutes are enough for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.train import RECIPES, Ranks, Recipe
from pennyweight.train.recipe import Layout, Precision
from pennyweight.verbs.fit import fit
from pennyweight.verbs.fitting import auto_width, plan
from pennyweight.verbs.fitting.auto_width import ENOUGH, WIDTHS, widest
from pennyweight.verbs.fitting.framing import FramingRequest
from pennyweight.verbs.fitting.resume import find_record
from pennyweight.zoo import create, variant

MANY: dict[str, Any] = {
    "pictures": 40_000,
    "size": 32,
    "channels": 3,
    "classes": 10,
    "ways": (("channels_last", "float32"),),
}


@pytest.mark.parametrize(
    ("picture_s", "minutes", "name"),
    [
        (1 / 300, 10, WIDTHS[0]),  # too slow for any: the narrowest
        (1 / 1000, 10, WIDTHS[0]),
        (1 / 1700, 10, WIDTHS[1]),
        (1 / 1700, 20, WIDTHS[2]),
        (1 / 100_000, 10, WIDTHS[3]),
    ],
)
def test_the_widest_that_has_enough_epochs(
    picture_s: float, minutes: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_macs_are(name: str, *asked: Any) -> float:
        return picture_s * variant(name).macs / variant(WIDTHS[0]).macs

    monkeypatch.setattr(auto_width, "_picture_s", as_macs_are)
    found, why = widest(minutes, **MANY, ranks=Ranks())
    assert found == name
    assert f"{minutes} minutes" in why
    epochs = int(why.split("about ")[1].split()[0])
    assert epochs >= ENOUGH or name == WIDTHS[0]


def test_the_quicker_way_decides_and_wider_ones_are_timed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"float32": 1 / 700, "bfloat16": 1 / 2000}
    asked: list[tuple[str, str]] = []

    def timed(name: str, recipe: Recipe, *others: Any) -> float:
        asked.append((name, recipe.precision))
        return seconds[recipe.precision] * (1.5 if name == WIDTHS[1] else 50.0 if name != WIDTHS[0] else 1.0)

    monkeypatch.setattr(auto_width, "_picture_s", timed)
    ways = (("channels_last", "float32"), ("channels_last", "bfloat16"))
    assert widest(10, **MANY | {"ways": ways[:1]}, ranks=Ranks())[0] == WIDTHS[0]
    asked.clear()
    assert widest(10, **MANY | {"ways": ways}, ranks=Ranks())[0] == WIDTHS[1]
    quick = "bfloat16"
    assert asked == [(WIDTHS[0], "float32"), (WIDTHS[0], quick), (WIDTHS[1], quick), (WIDTHS[2], quick)]


def test_widths_grow() -> None:
    macs = [variant(name).macs for name in WIDTHS]
    assert macs == sorted(macs)


@pytest.mark.parametrize(
    ("layout", "precision", "dtype"),
    [
        ("channels_last", "float32", torch.float32),
        pytest.param("channels_first", "float64", torch.float64, marks=pytest.mark.slow),
        pytest.param("channels_last", "float64", torch.float64, marks=pytest.mark.slow),
        pytest.param("channels_first", "float32", torch.float32, marks=pytest.mark.slow),
        pytest.param("channels_last", "bfloat16", torch.bfloat16, marks=pytest.mark.slow),
        pytest.param("channels_first", "bfloat16", torch.bfloat16, marks=pytest.mark.slow),
    ],
)
def test_a_picture_is_timed_here(
    layout: Layout, precision: Precision, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtypes: list[torch.dtype] = []
    lasts: list[bool] = []

    def made(*asked: Any, **options: Any) -> torch.nn.Module:
        network = create(*asked, **options)
        network.register_forward_hook(lambda module, inputs, logits: dtypes.append(logits.dtype))
        network.stem.register_forward_pre_hook(
            lambda module, inputs: lasts.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
        )
        return network

    monkeypatch.setattr(auto_width.zoo, "create", made)
    monkeypatch.setattr(auto_width, "BATCH", 4)  # bfloat16 is slow where a processor has no instructions for it
    recipe = replace(RECIPES["sprint"], precision=precision, layout=layout)
    assert 1e-6 < auto_width._picture_s(WIDTHS[0], recipe, 32, 3, 10, Ranks()) < 60  # seconds, on any machine
    assert dtypes == [dtype] * 5
    assert lasts == [layout == "channels_last"] * 5
    dtypes.clear()
    assert auto_width._picture_s(WIDTHS[0], recipe, 32, 3, 10, Ranks(), 1e-9) > 1e-6
    assert len(dtypes) == 2  # the best is out of reach


@pytest.mark.parametrize(
    ("speed", "recipe", "ways"),
    [
        (None, None, ["channels_last float32", "channels_last bfloat16"]),
        ("auto", None, ["channels_last float32", "channels_last bfloat16"]),
        ("fixed", None, ["channels_last float32"]),
        ("fixed", {"precision": "bfloat16", "layout": "channels_first"}, ["channels_first bfloat16"]),
    ],
)
def test_a_fixed_way_is_timed_alone(
    speed: str | None, recipe: dict[str, Any] | None, ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(minutes: float, **options: Any) -> tuple[str, str]:
        asked.extend(" ".join(way) for way in options["ways"])
        return WIDTHS[1], "noted"

    monkeypatch.setattr(plan, "widest", noted)
    made = plan.make_plan(
        data.open("digits"), "auto", pictures=40_000, recipe=recipe, framing=FramingRequest(), stem=None, config={},
        weights=None, seed=0, minutes=10, speed=speed,
    )  # fmt: skip
    assert made.model["name"] == WIDTHS[1]
    assert asked == ways


def test_what_fit_is_asked_reaches_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {
        "recipe": {"lr": 0.1}, "stem": "cifar", "config": {"width": 0.5}, "weights": "imagenet",
        "seed": 3, "minutes": 7.0, "speed": "fixed",
    }  # fmt: skip
    seen: dict[str, Any] = {}

    def with_replanned_epochs(source: data.Source, model: str, **options: Any) -> plan.Plan:
        seen.update(options)
        raise InputError("far enough")

    monkeypatch.setattr("pennyweight.verbs.fitting.decide.make_plan", with_replanned_epochs)
    with pytest.raises(InputError, match="far enough"):
        fit("digits", "mobilenet_v1", progress=False, input_size=48, frame="pad", **asked)
    assert {name: seen[name] for name in asked} == asked
    assert (seen["framing"].size, seen["framing"].frame) == (48, "pad")
    assert len(seen["framing"].aspects) > 1_000


def test_a_resume_goes_on_with_the_network_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"source": "digits", "address": "digits", "labels": ["0", "1"], "fingerprint": "sha256:0"}
    for number, name in enumerate((WIDTHS[1], WIDTHS[0])):
        folder = tmp_path / "runs" / f"digits-{name}-1"
        folder.mkdir(parents=True)
        record = {"model": {"name": name}, "data": known, "preprocess": {}, "created": f"2026-01-0{number + 1}"}
        (folder / "run.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    latest = find_record(None, "digits", WIDTHS)
    named = find_record(tmp_path / "runs" / f"digits-{WIDTHS[1]}-1", "digits", WIDTHS)
    assert latest is not None
    assert named is not None
    assert (latest.network, named.network) == (WIDTHS[0], WIDTHS[1])
    assert find_record(tmp_path / "elsewhere", "digits", WIDTHS) is None
    assert find_record(None, "letters", WIDTHS) is None


def test_a_torn_record_chooses_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    assert find_record(tmp_path, "digits", WIDTHS) is None
