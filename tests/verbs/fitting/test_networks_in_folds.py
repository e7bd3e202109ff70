"""Whole networks in folds: a training without each fold answers it, and the kept network learns from all pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import RunError
from pennyweight.core.files import read_lines
from pennyweight.verbs.fitting.replan import repeated

Fit = Callable[..., pw.Run]
FOLDS = 3
EPOCHS = 3
STEPS = 10
"""Steps of an epoch without a fold: 80 pictures in batches of 8."""
SCRATCH: dict[str, Any] = {"recipe": {"mode": "scratch", "epochs": EPOCHS, "batch": 8, "ema": 0.9}, "folds": FOLDS}


@pytest.fixture(scope="module")
def scratch(fit_small: Fit, shapes: Path, made_once: Callable[..., Path]) -> pw.Run:
    """A run from scratch in folds. Nobody writes to it."""
    return pw.Run(made_once("scratch-in-folds", lambda folder: fit_small(shapes, out=folder / "r", **SCRATCH)) / "r")


@pytest.fixture(scope="module")
def finetune(trained: pw.Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of a finetuning in folds, which starts from a file that does not say what it learned from."""
    first = tmp_path_factory.mktemp("first") / "first.safetensors"
    shutil.copy(trained.weights_path, first)
    recipe = {"mode": "finetune", "epochs": 2, "head_epochs": 2, "batch": 8}
    return {"weights": first, "recipe": recipe, "folds": FOLDS, "config": trained.info.model["config"]}


@pytest.fixture(scope="module")
def finetuned(
    fit_small: Fit, shapes: Path, finetune: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> pw.Run:
    """A finetuned run in folds. Nobody writes to it."""
    return fit_small(shapes, out=tmp_path_factory.mktemp("finetuned") / "r", **finetune)


def test_every_picture_is_scored_once_and_all_teach(scratch: pw.Run, shapes: Path) -> None:
    found, record = scratch.evaluation, scratch.info
    assert (found["split"], found["folds"], found["images"]) == ("out-of-fold", FOLDS, 120)
    assert record.data.counts == {"train": 120}
    assert (record.data.folds, record.asked["folds"]) == (FOLDS, FOLDS)
    assert record.best_epoch == EPOCHS
    assert scratch.typicality is None  # the features differ from fold to fold
    epochs = read_lines(scratch.metrics_path)
    assert len(epochs) == EPOCHS
    # The figures of the kept network's epochs are those of the folds, and its last weights are averages as theirs.
    assert epochs[-1]["val_accuracy"] == pytest.approx(found["accuracy"])
    assert epochs[-1]["val_loss"] == pytest.approx(found["loss"], abs=1e-4)
    assert not scratch.folder.joinpath("folds").exists()
    known = scratch.training_digests
    assert known is not None
    assert data.exclude_seen(data.open(shapes).samples, known) == []
    assert "3 folds, every picture once" in scratch.report_path.read_text()


@pytest.mark.slow
def test_a_fold_is_answered_by_a_training_that_never_had_it(fit_small: Fit, tmp_path: Path) -> None:
    """Labels that say nothing are learned by heart, and answered like chance all the same."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (36, 16, 16, 3), dtype=np.uint8)
    labels = np.repeat(["a", "b", "c"], 12)[draw.permutation(36)]
    plain = {"mode": "scratch", "epochs": 30, "batch": 8, "lr": 0.01, "flip": False, "shift": 0.0, "mixup": 0.0}
    run = fit_small((pixels, labels), out=tmp_path / "run", recipe=plain, folds=FOLDS)
    assert read_lines(run.metrics_path)[-1]["train_accuracy"] > 0.8
    low, high = run.evaluation["accuracy_interval"]
    assert low <= 1 / 3 <= high


def test_equal_calls_give_equal_bits(scratch: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    again = fit_small(shapes, out=tmp_path / "again", **SCRATCH)
    assert again.weights_path.read_bytes() == scratch.weights_path.read_bytes()
    assert again.evaluation == scratch.evaluation


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(STEPS * 2 + 4, marks=pytest.mark.slow),
        STEPS * EPOCHS + 15,
        pytest.param(STEPS * EPOCHS * FOLDS + 20, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_resumes_to_equal_bits(
    scratch: pw.Run,
    fit_small: Fit,
    shapes: Path,
    tmp_path: Path,
    stop_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    options: dict[str, Any] = {"out": tmp_path / "run", **SCRATCH}
    with monkeypatch.context():
        stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            fit_small(shapes, **options)
    monkeypatch.undo()
    finished = len(list((tmp_path / "run" / "folds").glob("*/answers.npz")))
    assert finished == min(step // (STEPS * EPOCHS), FOLDS)
    with pytest.raises(RunError, match="folds was 3 and is 4 now"):
        fit_small(shapes, resume=True, **options | {"folds": 4})
    resumed = fit_small(shapes, resume=True, **options)
    assert resumed.weights_path.read_bytes() == scratch.weights_path.read_bytes()
    assert resumed.evaluation == scratch.evaluation


@pytest.mark.slow
@pytest.mark.parametrize("step", [25, 65])
def test_finetuning_in_folds_resumes_in_either_phase(
    finetuned: pw.Run,
    finetune: dict[str, Any],
    fit_small: Fit,
    shapes: Path,
    tmp_path: Path,
    stop_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    assert finetuned.evaluation["folds"] == FOLDS
    epochs = read_lines(finetuned.metrics_path)
    assert len(epochs) == 4
    assert epochs[-1]["val_accuracy"] == pytest.approx(finetuned.evaluation["accuracy"])
    with monkeypatch.context():
        stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            fit_small(shapes, out=tmp_path / "run", **finetune)
    monkeypatch.undo()
    resumed = fit_small(shapes, out=tmp_path / "run", resume=True, **finetune)
    assert resumed.weights_path.read_bytes() == finetuned.weights_path.read_bytes()
    assert resumed.evaluation == finetuned.evaluation


def test_the_trainings_are_announced_with_their_time(
    fit_small: Fit, shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_small(shapes, out=tmp_path / "run", progress=True, **SCRATCH)
    said = capfd.readouterr().err
    assert "as a few timed steps suggest: 4 trainings" in said
    assert "training 2 of 4: 80 pictures, without fold 2" in said
    assert "training 4 of 4: 120 pictures, to keep" in said
    assert "epoch 12/12" in said
    assert said.index("4 trainings") < said.index("training 1 of 4")


@pytest.mark.slow
def test_minutes_are_shared_by_the_trainings(
    fit_small: Fit, shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = {"mode": "scratch", "batch": 8}
    run = fit_small(
        shapes, out=tmp_path / "run", progress=True, recipe=recipe, folds=FOLDS, minutes=0.04, speed="fixed"
    )
    assert "the 4 trainings of folds share --minutes" in capfd.readouterr().err
    assert run.evaluation["folds"] == FOLDS


def test_without_folds_asked_for_a_network_from_scratch_has_a_test_split(
    fit_small: Fit, shapes: Path, tmp_path: Path
) -> None:
    assert fit_small(shapes, out=tmp_path / "run", recipe={"epochs": 1}).evaluation["split"] == "test"


def test_the_work_of_several_trainings_is_that_of_their_own_epochs() -> None:
    work = repeated(lambda some: float(sum(some)), epochs=5, apart=2)  # epochs 3 to 5 have work 1, 2 and 3
    assert [work(range(number, number + 1)) for number in range(1, 9)] == [1, 2, 3, 0, 0, 1, 2, 3]
    assert work(range(1, 9)) == 12


def test_a_part_of_pictures_shares_the_decoded_ones(shapes: Path) -> None:
    source = data.open(shapes)
    pictures = data.make_pictures(source, source.samples, _preprocess(), margin=True)
    pictures.read()
    which = pictures.targets == 1
    part = pictures.part(which)
    assert (part.targets == 1).all()
    assert len(part) == which.sum() < len(pictures)
    assert (part.pixels(np.arange(len(part))) == pictures.pixels(np.flatnonzero(which))).all()


def _preprocess() -> Any:
    from pennyweight.core.preprocess import Preprocess

    return Preprocess.for_input(16)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_labels_drawn_at_random_score_chance(
    mode: str, fit_small: Fit, finetune: dict[str, Any], tmp_path: Path
) -> None:
    """Of 10 sets none scores surely above or below chance."""
    how = dict(finetune) if mode == "finetune" else dict(SCRATCH)
    how["recipe"] = {"mode": mode, "epochs": 8, "batch": 8, "lr": 0.01}
    for seed in range(10):
        draw = np.random.default_rng(seed)
        pixels = draw.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
        labels = np.repeat(["a", "b", "c"], 20)[draw.permutation(60)]
        run = fit_small((pixels, labels), out=tmp_path / str(seed), **how)
        low, high = run.evaluation["accuracy_interval"]
        assert run.evaluation["folds"] == FOLDS
        assert low <= 1 / 3 <= high


@pytest.mark.slow
def test_copies_of_a_picture_are_never_on_both_sides(fit_small: Fit, tmp_path: Path) -> None:
    """Pictures of noise come in threes, each with labels of its own: known by heart, a copy would be answered right."""
    draw = np.random.default_rng(1)
    pixels = np.repeat(draw.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8), 3, axis=0)
    labels = np.repeat(np.array(["a", "b", "c"])[draw.permutation(12) % 3], 3)
    plain = {"mode": "scratch", "epochs": 30, "batch": 8, "lr": 0.01, "flip": False, "shift": 0.0, "mixup": 0.0}
    run = fit_small((pixels, labels), out=tmp_path / "run", recipe=plain, folds=FOLDS)
    assert read_lines(run.metrics_path)[-1]["train_accuracy"] > 0.9
    assert run.evaluation["accuracy"] < 0.75
