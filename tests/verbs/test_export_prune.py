"""`export` with pruning: fine-tuned on training pictures, judged on validation pictures, and scored again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, ParityError, SourceError
from pennyweight.train import Recipe
from pennyweight.verbs import prune_run

pytest.importorskip("torch_pruning")
WIDER = {"stages": [[64, 1, 1], [128, 1, 2]]}
"""Two blocks of a MobileNetV1 with some blocks of 8 channels to remove."""


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pennyweight.verbs.prune_run.LEAST_STEPS", 40)
        patch.setattr("pennyweight.deploy.latency.REPEATS", 3)
        yield


@pytest.fixture(scope="module")
def run(shapes: Path, fit_small: Callable[..., pw.Run], made_once: Callable[..., Path]) -> pw.Run:
    recipe = {"epochs": 8, "batch": 8, "lr": 0.01, "warmup_epochs": 1}
    made = made_once("prunable-runs", lambda folder: fit_small(shapes, out=folder / "run", config=WIDER, recipe=recipe))
    return pw.Run(made / "run")


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def pruned(run: pw.Run, notes: list[str], tmp_path_factory: pytest.TempPathFactory) -> pw.Bundle:
    copy = pw.Run(shutil.copytree(run.folder, tmp_path_factory.mktemp("pruned") / "run"))
    return pw.export(copy, prune=0.25, note=notes.append)


def test_its_manifest_tells_costs_accuracies_and_milliseconds(run: pw.Run, pruned: pw.Bundle) -> None:
    assert pruned.path.name == "model-pruned.onnx"
    manifest = pruned.manifest
    record = manifest.pruning
    assert record is not None
    assert record["macs"][1] == manifest.cost["macs"] <= 0.75 * record["macs"][0]
    assert record["params"][1] == manifest.cost["params"] < record["params"][0]
    assert record["channels"][1] < record["channels"][0]
    assert record["tuning"] | {"epochs": 0} == {"pictures": 80, "of": "training split of shapes", "epochs": 0}
    assert {"before_ms", "after_ms", "times_faster", "threads"} <= record["latency"].keys()
    assert "pruned" in str(manifest)


@pytest.mark.parametrize("frozen", [True, False])
def test_norms_that_the_training_froze_stay_frozen(frozen: bool) -> None:
    """Published weights may have their norms inside the convolutions; statistics of pictures would ruin them."""
    recipe = Recipe(mode="finetune", freeze_norms=frozen)
    tuned = prune_run._recipe(recipe, SimpleNamespace(steps=lambda batch: 10))
    assert (tuned.mode, tuned.freeze_norms) == ("scratch", frozen)


def test_its_accuracies_are_those_of_the_files(run: pw.Run, pruned: pw.Bundle, shapes: Path) -> None:
    record, scores = pruned.manifest.pruning, pruned.manifest.evaluation
    assert record is not None
    assert scores is not None
    assert pw.evaluate(run, split="val").accuracy == pytest.approx(record["accuracy_before"])
    assert pw.evaluate(pruned, shapes, split="val").accuracy == pytest.approx(record["accuracy"])
    again = json.loads(json.dumps(pw.evaluate(pruned, shapes).to_dict()))
    assert scores == {name: again[name] for name in scores}
    assert scores["without_twins"]["images"] <= scores["images"]  # twins were looked for, as `fit` did


def test_it_knows_how_typical_a_picture_is(pruned: pw.Bundle, shapes: Path) -> None:
    manifest = pruned.manifest
    assert manifest.held_out is not None
    own = data.split(data.open(shapes)).val
    pixels = np.stack([manifest.preprocess(str(sample.picture)) for sample in own])
    strangeness = np.sort(pruned.engine.with_strangeness(pixels).strangeness)
    np.testing.assert_allclose(strangeness, manifest.held_out.strangeness, rtol=1e-3, atol=1e-3)


def test_notes_tell_what_goes_on(pruned: pw.Bundle, notes: list[str]) -> None:
    assert any("fewer MACs" in note and "fine-tuning on 80 pictures" in note for note in notes)
    assert sum(note.startswith("fine-tuning, epoch ") for note in notes) == pruned.manifest.pruning["tuning"]["epochs"]


def test_the_run_keeps_its_weights(run: pw.Run, pruned: pw.Bundle, shapes: Path) -> None:
    assert (pruned.path.parent / "weights.safetensors").read_bytes() == run.weights_path.read_bytes()


def test_pruned_networks_are_quantized_as_well(run: pw.Run, tmp_path: Path) -> None:
    made = pw.export(pw.Run(shutil.copytree(run.folder, tmp_path / "run")), prune=0.25, int8=True, max_drop=0.9)
    assert made.path.name == "model-pruned-int8.onnx"
    assert made.manifest.pruning is not None
    assert made.manifest.quantization is not None
    gate = made.manifest.quantization["gate"]
    assert gate["float_accuracy"] == pytest.approx(made.manifest.pruning["accuracy"])


@pytest.mark.parametrize("share", [0, 1, -0.1, True, "30%", float("nan")])
def test_a_share_that_is_none(run: pw.Run, tmp_path: Path, share: Any) -> None:
    with pytest.raises(InputError, match=r"prune must be a share above 0 and below 1, such as 0\.3, not "):
        pw.export(run, tmp_path / "x.onnx", prune=share)


def test_a_name_with_weights_is_told_to_train_first(run: pw.Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prune fine-tunes on the pictures of a run.*pennyweight fit SOURCE"):
        pw.export("mobilenet_v1_x0_25", tmp_path / "x.onnx", weights=run.weights_path, prune=0.3)


def test_without_its_pictures_nothing_is_written(run: pw.Run, tmp_path: Path) -> None:
    from pennyweight.core.files import read_json
    from pennyweight.core.run import write_record

    copy = pw.Run(shutil.copytree(run.folder, tmp_path / "run"))
    record = read_json(copy.record_path)
    record["data"] |= {"address": str(tmp_path / "gone")}
    write_record(copy.record_path, record)
    before = sorted(path.name for path in copy.folder.iterdir())
    with pytest.raises(SourceError, match="prune needs pictures of the training"):
        pw.export(copy, prune=0.3)
    assert sorted(path.name for path in copy.folder.iterdir()) == before


def test_a_run_in_folds_has_no_pictures_to_judge_by(run: pw.Run, tmp_path: Path) -> None:
    from pennyweight.core.files import read_json
    from pennyweight.core.run import write_record

    copy = pw.Run(shutil.copytree(run.folder, tmp_path / "run"))
    record = read_json(copy.record_path)
    record["data"] |= {"folds": 5}
    write_record(copy.record_path, record)
    with pytest.raises(InputError, match=r"learned from all of its pictures, in folds.*--folds 1"):
        pw.export(copy, prune=0.3)


@pytest.fixture
def accuracies(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """`accuracies(before, after)`: those of the whole network and of the pruned one, without fine-tuning."""

    def set_them(before: float, after: float) -> None:
        found = iter([before, after])
        monkeypatch.setattr(prune_run, "_fine_tune", lambda pruned, *others: pruned.network)
        monkeypatch.setattr(prune_run, "_accuracy", lambda *others: next(found))

    return set_them


def test_a_drop_above_the_allowed_one_is_refused_and_nothing_is_written(
    run: pw.Run, tmp_path: Path, accuracies: Callable[[float, float], None]
) -> None:
    accuracies(0.9, 0.875)
    with pytest.raises(
        ParityError, match=r"from 90\.0% to 87\.5% on .* pictures, more than max_drop 2\.0%; prune less"
    ):
        pw.export(run, tmp_path / "x.onnx", prune=0.25, max_drop=0.02)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("allowed", [0.02, None])
def test_a_drop_within_the_allowed_one_passes_and_any_where_none_is_named(
    run: pw.Run, tmp_path: Path, accuracies: Callable[[float, float], None], allowed: float | None
) -> None:
    accuracies(0.9, 0.88 if allowed else 0.1)
    assert pw.export(run, tmp_path / "x.onnx", prune=0.25, max_drop=allowed).path.is_file()
