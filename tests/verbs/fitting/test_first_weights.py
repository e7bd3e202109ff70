"""`fit FOLDER` with no option: photographs start from published weights, which are announced, fetched once and kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.train import Recipe
from pennyweight.verbs.fitting import first_weights as room
from pennyweight.verbs.fitting.first_weights import FirstWeights, first_weights
from pennyweight.verbs.fitting.fit_seeds import fit_seeds
from pennyweight.verbs.fitting.framing import FramingRequest
from pennyweight.verbs.fitting.plan import Plan, make_plan

FETCHING = "fetching published weights mobilenet_v2-"
QUICK: dict[str, Any] = {"input_size": 96, "recipe": {"epochs": 1}}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve pictures of 100 pixels a side, which take the input of photographs."""
    root, draw = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for label, level in (("dark", 80), ("light", 170)):
        (root / label).mkdir()
        for number in range(12):
            pixels = np.clip(draw.normal(level, 40, (100, 100, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


def with_replanned_epochs(folder: Path, **options: Any) -> Plan:
    """The plan that `fit` decides before it trains."""
    asked: dict[str, Any] = {"model": "auto", "weights": None, "stem": None, "config": {}, "seed": 0}
    asked |= QUICK | options
    return make_plan(data.open(folder), pictures=18, framing=FramingRequest(asked.pop("input_size")), **asked)


def source_of(size: int, channels: int) -> data.Source:
    return data.Source(name="s", address="s", labels=("a", "b"), samples=(), size=size, channels=channels)


@pytest.mark.parametrize("model", ["auto", "mobilenet_v2"])
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Imagenet", "imagenet"),
        ("IMAGENET", "imagenet"),
        ("imagenet1k_v2", "IMAGENET1K_V2"),
        ("noen", "none"),
        ("None", "none"),
        ("Auto", "auto"),
    ],
)
def test_a_misspelt_word_for_weights_is_answered_with_the_nearest(
    photographs: Path, model: str, given: str, meant: str
) -> None:
    with pytest.raises(InputError) as raised:
        with_replanned_epochs(photographs, model=model, weights=given)
    assert str(raised.value) == f"'mobilenet_v2' has no weights '{given}'; did you mean '{meant}'?"


def test_a_network_without_published_weights_has_the_words_of_fit(photographs: Path) -> None:
    with pytest.raises(InputError, match=r"no published weights for 'resnet_9'; did you mean 'none'\?$"):
        with_replanned_epochs(photographs, model="resnet_9", weights="None")


@pytest.mark.parametrize(
    ("taken", "size", "channels", "options"),
    [
        (True, 224, 3, {}),
        (True, 224, 1, {}),
        (True, 224, 3, {"weights": "auto"}),
        (True, 64, 3, {"input_size": 128}),
        (True, 224, 3, {"recipe": {"epochs": 3, "lr": 0.1}}),
        (True, 224, 3, {"recipe": {"mode": "finetune"}}),
        (True, 224, 3, {"recipe": "gentle"}),
        (True, 224, 3, {"recipe": Recipe(mode="head")}),
        (True, 224, 3, {"stem": "imagenet", "config": {"dropout": 0.1}}),
        (False, 64, 3, {}),
        (False, 224, 3, {"input_size": 64}),
        (False, 224, 4, {}),
        (False, 224, 12, {}),
        (False, 224, 3, {"weights": "none"}),
        (False, 224, 3, {"recipe": "steady"}),
        (False, 224, 3, {"recipe": {"mode": "scratch"}}),
        (False, 224, 3, {"recipe": Recipe()}),
        (False, 224, 3, {"stem": "cifar"}),
        (False, 224, 3, {"config": {"width": 0.5}}),
        (False, 224, 3, {"model": "resnet18"}),
    ],
)
def test_published_weights_are_for_photographs_and_whoever_asks_for_nothing_else(
    taken: bool, size: int, channels: int, options: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"model": "auto", "weights": None, "input_size": None, "stem": None, "config": {}}
    found = first_weights(source_of(size, channels), **{**asked, "recipe": None, **options})
    assert (found.weights, found.chosen) == (("imagenet", True) if taken else (None, False))
    photographs = size >= 96 and options.get("weights") != "none"
    assert bool(found.why) == (not taken and photographs)  # whoever could have had them is told why not


@pytest.mark.parametrize(
    ("channels", "options", "reason"),
    [
        (4, {}, "they have learned from gray and RGB pictures, not from 4 channels"),
        (3, {"input_size": 64}, "they suit inputs of at least 96 pixels, not of 64"),
    ],
)
def test_pictures_that_they_do_not_suit_are_told_why(channels: int, options: dict[str, Any], reason: str) -> None:
    asked: dict[str, Any] = {"weights": None, "input_size": None, "stem": None, "config": {}, "recipe": None}
    (line,) = first_weights(source_of(224, channels), "auto", **{**asked, **options}).why
    assert line == f"no published weights are taken: {reason}; --weights imagenet takes them all the same"


def test_photographs_start_from_published_weights(
    publisher: Any,
    photographs: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line comes before any address is asked; a second training finds the file."""
    told: list[str] = []
    fetch = zoo.open_published

    def watched(*arguments: Any, **more: Any) -> zoo.Checkpoint:
        assert publisher.asked == []
        told.append(capfd.readouterr().err)
        return fetch(*arguments, **more)

    monkeypatch.setattr(zoo, "open_published", watched)
    run = pw.fit(photographs, out=tmp_path / "one", progress=False, **QUICK)
    (line,) = (line for line in told[0].splitlines() if line.startswith(FETCHING))
    assert "about 14 MB, from 127.0.0.1 into " in line
    assert "--weights none or PENNYWEIGHT_OFFLINE=1 forbids it" in line
    assert run.record["weights"].startswith("mobilenet_v2-")
    assert run.record["recipe"]["mode"] == "head"
    assert any("published by torchvision (BSD-3)" in line for line in run.record["why"])
    monkeypatch.setattr(zoo, "open_published", fetch)
    capfd.readouterr()
    again = with_replanned_epochs(photographs)
    assert FETCHING not in capfd.readouterr().err
    assert publisher.asked == [None]
    assert again.checkpoint is not None
    assert again.checkpoint.name == run.record["weights"]


@pytest.mark.parametrize("reason", ["offline", "gone", "another file", "stalls"])
def test_without_them_a_line_says_what_would_have_been_taken(
    publisher: Any,
    reason: str,
    photographs: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if reason == "offline":
        monkeypatch.setenv("PENNYWEIGHT_OFFLINE", "1")
    elif reason == "gone":
        publisher.shutdown()
        publisher.server_close()
    elif reason == "another file":
        publisher.content = b"<html>Welcome to the hotel</html>"
    else:
        publisher.stalls = True
        monkeypatch.setattr(room, "PATIENCE_S", 0.2)
    plan = with_replanned_epochs(photographs)
    said = capfd.readouterr().err
    (line,) = (line for line in plan.why if "would be the start of this training" in line)
    file = zoo.published_file("mobilenet_v2")[1]
    assert line.startswith(file.name)
    assert "with mobilenet_v2 at 224 pixels on 400 photographs of cats and dogs" in line
    assert (str(file) in line) == (reason != "another file")
    assert (FETCHING in said) == (reason != "offline")
    assert (plan.checkpoint, plan.recipe.mode) == (None, "scratch")
    assert not file.exists()


def test_minutes_bound_the_fetch(publisher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = []

    def fetch(name: str, *, within_s: float) -> zoo.Checkpoint:
        bounds.append(within_s)
        raise pw.PennyweightError("far enough")

    monkeypatch.setattr(zoo, "open_published", fetch)
    for minutes in (None, 1.0, 600.0):
        with pytest.raises(pw.PennyweightError, match="far enough"):
            FirstWeights(weights="imagenet", chosen=True).fetched(minutes, room.Ranks())
    assert bounds == [300, 12, 300]


def test_nothing_is_fetched_where_it_is_forbidden_or_for_what_cannot_be_trained(
    publisher: Any, photographs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = with_replanned_epochs(photographs, weights="none")
    assert (plan.checkpoint, plan.recipe.mode) == (None, "scratch")
    assert "published" not in " ".join(plan.why) + capfd.readouterr().err
    for wrong in ({"recipe": {"lrr": 1}}, {"config": {"widht": 1}}, {"recipe": {"mode": "finetuned"}}):
        with pytest.raises(InputError):
            pw.fit(photographs, progress=False, **wrong)
    assert publisher.asked == []


def test_a_field_that_the_last_layer_has_no_use_for_moves_the_rest_too(publisher: Any, photographs: Path) -> None:
    """Photographs with `--set mixup=0.2` were trained before there were weights for them, and are so still."""
    recipe = {"epochs": 1, "head_epochs": 1, "mixup": 0.2}
    plan = with_replanned_epochs(photographs, recipe=recipe)
    assert (plan.recipe.mode, plan.recipe.mixup) == ("finetune", 0.2)
    assert any("does nothing for the last layer alone" in line for line in plan.why)


@pytest.mark.slow
@pytest.mark.parametrize("began", ["with weights", "from scratch"])
def test_a_resumed_run_keeps_what_it_began_with(
    publisher: Any,
    photographs: Path,
    tmp_path: Path,
    began: str,
    stop_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever way the network went meanwhile."""
    resume_note = {"input_size": 96, "recipe": {"epochs": 2}, "folds": 1, "out": tmp_path / "run", "progress": False}
    offline = {"with weights": ("0", "1"), "from scratch": ("1", "0")}[began]
    with monkeypatch.context() as patch:
        stop_at(2)
        patch.setenv("PENNYWEIGHT_OFFLINE", offline[0])
        with pytest.raises(KeyboardInterrupt):
            pw.fit(photographs, **resume_note)
    asked = list(publisher.asked)
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", offline[1])
    run = pw.fit(photographs, resume=True, **resume_note)
    assert (run.record["weights"] is not None) == (began == "with weights")
    assert run.record["recipe"]["mode"] == ("head" if began == "with weights" else "scratch")
    assert publisher.asked == asked


@pytest.mark.slow
def test_all_seeds_start_alike(
    publisher: Any, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean is of one start, though the publisher answers again after the first seed."""
    publisher.content, content = b"not yet", publisher.content
    ask = publisher.asked.append
    monkeypatch.setattr(room, "say", lambda *line, error: None)
    fit_seeds(photographs, seeds=2, out=tmp_path / "seeds", progress=False, **QUICK)
    publisher.content = content
    ask(None)
    runs = [pw.Run(tmp_path / "seeds" / f"seed-{seed}") for seed in (0, 1)]
    assert [(run.record["weights"], run.record["recipe"]["mode"]) for run in runs] == [(None, "scratch")] * 2
    assert "would be the start of this training" in " ".join(runs[0].record["why"])
    assert publisher.asked == [None, None]


def test_ranks_start_alike(publisher: Any) -> None:
    """Where another rank has no weights, this one takes none."""

    class Second:
        number, count = 1, 2
        turns = 0

        def gather(self, failed: str) -> list[str]:
            self.turns += 1
            return ["", failed] if self.turns == 1 else [failed, "no room on the other machine"]

    found = FirstWeights(weights="imagenet", chosen=True).fetched(None, Second())  # type: ignore[arg-type]
    assert (found.weights, found.checkpoint) == (None, None)
    assert "no room on the other machine" in found.why[0]


@pytest.mark.parametrize(
    ("options", "tip"),
    [
        ({"model": "mobilenet_v2"}, True),
        ({"model": "torchvision:resnet18"}, True),
        ({"model": "mobilenet_v1"}, False),  # nobody publishes any
        ({"model": "mobilenet_v2", "weights": "none"}, False),
        ({"model": "mobilenet_v2", "recipe": {"mode": "scratch"}}, False),
    ],
)
def test_a_network_that_is_named_is_taken_as_it_is_and_its_weights_are_mentioned(
    options: dict[str, Any], tip: bool
) -> None:
    asked: dict[str, Any] = {"weights": None, "input_size": None, "stem": None, "config": {}, "recipe": None}
    found = first_weights(source_of(224, 3), **{**asked, **options})
    assert found.weights is None
    assert bool(found.why) == tip
    assert all(line.startswith("--weights imagenet starts from weights published for") for line in found.why)


@pytest.mark.slow
def test_cats_and_dogs_with_no_option(
    publish: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The fetch breaks in the middle and resumes there; of 150 photographs at least 97% are right."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not shelf:
        pytest.skip("PENNYWEIGHT_DATA is not set")
    weights = Path(shelf) / "weights" / "mobilenet_v2-imagenet-tf_same-224.safetensors"
    publisher = publish(load_file(weights), 224, 256)
    publisher.cut_once = 5_000_000
    folder = Path(shelf) / "cats-dogs"
    monkeypatch.chdir(tmp_path)
    run = pw.fit(folder)
    assert publisher.asked == [None, "bytes=5000000-"]
    assert run.evaluation["images"] == 150
    assert run.evaluation["accuracy"] >= 0.97
    assert "resuming mobilenet_v2-" in capfd.readouterr().err
    publisher.shutdown()
    publisher.server_close()
    few = tmp_path / "few"
    for file in (file for label in ("cats", "dogs") for file in sorted((folder / "train" / label).iterdir())[:12]):
        (few / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, few / file.parent.name)
    pw.fit(few, out=tmp_path / "again", input_size=96, recipe={"epochs": 1})  # the cache has them
    assert publisher.asked == [None, "bytes=5000000-"]
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "empty"))
    capfd.readouterr()
    scratch = pw.fit(few, out=tmp_path / "scratch", input_size=96, recipe={"epochs": 1})
    assert scratch.record["recipe"]["mode"] == "scratch"
    assert "would be the start of this training" in capfd.readouterr().err
