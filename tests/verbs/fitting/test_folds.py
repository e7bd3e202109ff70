"""Few pictures in mode head: each is scored once by a head that had not seen it, and the kept head learns from all."""

from __future__ import annotations

import html
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.core.accuracy_line import accuracy_line
from pennyweight.core.errors import InputError, RunError, SourceError
from pennyweight.core.figures import share
from pennyweight.core.intervals import wilson
from pennyweight.data.intervals import FOLDED, predict_accuracy
from pennyweight.report.progress import Phase
from pennyweight.verbs.fitting import choose_size
from pennyweight.verbs.fitting.fit_seeds import fit_seeds
from pennyweight.verbs.fitting.size_trial import SizeTrial

Fit = Callable[..., pw.Run]
HEAD = {"mode": "head"}


@pytest.fixture(scope="module")
def folded(fit_small: Fit, shapes: Path, made_once: Callable[..., Path]) -> pw.Run:
    """A run on 120 pictures, in folds by default. Nobody writes to it."""
    return pw.Run(made_once("folded-runs", lambda folder: fit_small(shapes, out=folder / "r", recipe=HEAD)) / "r")


def test_few_pictures_are_scored_in_folds_and_all_teach(folded: pw.Run, shapes: Path) -> None:
    found, record = folded.evaluation, folded.info
    assert (found["split"], found["folds"], found["images"]) == ("out-of-fold", 8, 120)
    assert [row["images"] for row in found["per_class"]] == [40, 40, 40]
    assert found["accuracy"] > 0.5
    low, high = found["accuracy_interval"]
    effective = 120 / FOLDED
    wide = wilson(found["accuracy"] * effective, effective)
    assert (low, high) == pytest.approx([predict_accuracy(each, 8) for each in wide])
    assert found["predicted_accuracy"] == pytest.approx(predict_accuracy(found["accuracy"], 8))
    assert record.data.folds == 8
    assert record.data.counts == {"train": 120}
    assert record.recipe_name == "logistic"
    assert record.asked["folds"] == 8
    assert any(line.startswith("folds 8: a test split would have") for line in record.why or ())
    assert [point["pictures"] for point in (record.learning_curve or {})["points"]] == [30, 60, 120]
    known = folded.training_digests
    assert known is not None
    assert data.exclude_seen(data.open(shapes).samples, known) == []


def test_the_line_and_the_page_say_it(folded: pw.Run, shapes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from pennyweight.cli import show

    show.run(folded)
    said = capfd.readouterr().out
    assert said.startswith("out-of-fold accuracy ")
    assert "of 120 pictures (95% interval" in said
    assert "; 8 folds, every picture once; " in said
    assert " predicted for the kept network), weights of all pictures" in said
    page = folded.report_path.read_text()
    assert "accuracy on 120 pictures in 8 folds" in page
    assert "8 folds, every picture once. The weights learned from all pictures" in page
    assert "accuracy is predicted for them" in page
    assert "Loss in folds" in page
    assert "Logistic regression has no epochs" in page
    assert "How many more pictures" in page
    assert "No scored picture has a twin, a picture of the same moment, in another fold" in page
    assert "('out-of-fold accuracy', " in repr(list(folded._facts()))


def test_a_picture_of_any_fold_scores_nothing_and_new_pictures_do(
    folded: pw.Run, shapes: Path, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(
        SourceError, match=r"trained on every picture of shapes.*score is that of 8 folds, every picture once"
    ):
        pw.evaluate(folded)
    with pytest.raises(SourceError, match="was scored in 8 folds and has no validation split"):
        pw.evaluate(folded, split="val")
    assert pw.evaluate(folded, split="train").images == 120
    new = draw_colours(tmp_path / "new", 3, seed=9)
    for path in sorted(shapes.glob("*/*-00.png")):  # known ones among them
        (new / path.parent.name / "known.png").write_bytes(path.read_bytes())
    assert pw.evaluate(folded, new, split="test").images == 9


@pytest.mark.slow
def test_equal_calls_give_equal_bits_and_a_seed_divides_otherwise(
    folded: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path
) -> None:
    again = fit_small(shapes, out=tmp_path / "again", recipe=HEAD)
    assert again.weights_path.read_bytes() == folded.weights_path.read_bytes()
    assert again.evaluation == folded.evaluation
    found = fit_seeds(shapes, seeds=2, out=tmp_path / "seeds", recipe=HEAD, **_small())
    assert found["accuracies"]["0"] == folded.evaluation["accuracy"]
    assert found["split"] == "out-of-fold"
    runs = [pw.Run(tmp_path / "seeds" / f"seed-{seed}") for seed in range(2)]
    assert runs[0].evaluation["loss"] != runs[1].evaluation["loss"]


def _small() -> dict[str, Any]:
    return {
        "model": "mobilenet_v1_x0_25", "input_size": 16, "progress": False,
        "config": {"stages": [[32, 1, 1], [64, 1, 2]]},
    }  # fmt: skip


def _stopping(advance: Callable[[Phase, int], None], name: str) -> Callable[..., None]:
    """`Phase.advance` that lets a SIGINT come in the phase `name`."""

    def stopping(self: Phase, n: int = 1) -> None:
        if self.name == name and self.done == 0:
            signal.raise_signal(signal.SIGINT)
        advance(self, n)

    return stopping


@pytest.mark.slow
def test_an_interrupted_run_resumes_to_equal_bits(
    folded: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"out": tmp_path / "run", "recipe": HEAD}
    with monkeypatch.context() as patched:
        patched.setattr(Phase, "advance", _stopping(Phase.advance, "heads of the last layer"))
        with pytest.raises(KeyboardInterrupt):
            fit_small(shapes, save_minutes=0, **options)
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    with pytest.raises(RunError, match="folds was 8 and is 4 now"):
        fit_small(shapes, resume=True, folds=4, **options)
    resumed = fit_small(shapes, resume=True, **options)
    assert resumed.weights_path.read_bytes() == folded.weights_path.read_bytes()
    assert resumed.evaluation == folded.evaluation


def test_a_run_with_a_test_split_resumes_with_it(
    fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"out": tmp_path / "run", "recipe": HEAD | {"epochs": 3}}
    with monkeypatch.context():
        stop_at(2)
        with pytest.raises(KeyboardInterrupt):
            fit_small(shapes, folds=1, **options)
    monkeypatch.undo()
    resumed = fit_small(shapes, resume=True, **options)
    assert resumed.evaluation["split"] == "test"
    assert "folds" not in resumed.evaluation


def test_a_head_of_steps_has_folds_too(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    recipe = HEAD | {"epochs": 3, "lr": 0.01, "views": 2, "ema": 0.5}
    run = fit_small(shapes, out=tmp_path / "run", recipe=recipe, folds=4)
    assert run.info.recipe_name == "probe"
    assert run.evaluation["folds"] == 4
    epochs = [line for line in run.metrics_path.read_text().splitlines() if line]
    assert len(epochs) == 3
    assert run.record["best"]["epoch"] == 3
    # The average of the last weights is what answers in folds; the epochs' figures are those of averages too.
    assert run.record["best"]["val_accuracy"] == pytest.approx(run.evaluation["accuracy"])
    with pytest.raises(InputError, match="'patience' \\(2\\) stops by a validation split"):
        fit_small(shapes, out=tmp_path / "other", recipe=recipe | {"patience": 2})


@pytest.mark.slow
def test_logistic_regression_learns_from_views(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    run = fit_small(shapes, out=tmp_path / "run", recipe=HEAD | {"views": 2})
    plain = fit_small(shapes, out=tmp_path / "plain", recipe=HEAD)
    # Views that taught with the labels of other pictures would score like chance.
    assert run.evaluation["accuracy"] > plain.evaluation["accuracy"] - 0.1 > 0.6
    assert run.info.recipe_name == "logistic"
    assert run.evaluation["images"] == 120
    note = (
        "augmentation was not checked against the labels: the check needs a validation split, which folds do not have"
    )
    assert note in run.record["augmentation"]["notes"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"recipe": {"mode": "scratch", "patience": 2}, "folds": 5}, "'patience' (2) stops by a validation split"),
        ({"folds": 2}, "folds must be 3 to 20, or 1 for a test split, not 2; 5 is usual"),
        ({"folds": True}, "folds must be 3 to 20, or 1 for a test split, not True"),
        ({"recipe": HEAD | {"optimizer": "lbfgs", "lr": 1.0}}, "'lr' does nothing with optimizer lbfgs"),
        ({"recipe": {"optimizer": "lbfgs", "mode": "scratch"}}, "'optimizer' must be lbfgs in mode head only"),
        (
            {"recipe": "logistic", "folds": 1},
            "logistic regression chooses its penalty in folds, and --folds 1 has none",
        ),
    ],
)
def test_what_has_no_folds_is_refused_in_a_line(
    fit_small: Fit, shapes: Path, tmp_path: Path, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError) as refused:
        fit_small(shapes, out=tmp_path / "run", **options)
    assert line in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_splits_of_the_users_own_stay(fit_small: Fit, draw_colours: Callable[..., Path], tmp_path: Path) -> None:
    for part, seed in (("train", 0), ("val", 1), ("test", 2)):
        draw_colours(tmp_path / "own" / part, 6, seed=seed)
    run = fit_small(tmp_path / "own", out=tmp_path / "run", recipe=HEAD | {"epochs": 1})
    assert run.evaluation["split"] == "test"
    with pytest.raises(InputError, match="--folds 5: own has splits of its own, which stay; --folds 1 scores"):
        fit_small(tmp_path / "own", out=tmp_path / "other", recipe=HEAD, folds=5)


def test_pictures_of_an_earlier_run_are_not_scored_in_folds(
    folded: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path
) -> None:
    with pytest.raises((InputError, SourceError)):
        fit_small(shapes, out=tmp_path / "run", weights=folded.folder, input_size=None, recipe=HEAD, folds=5)


def test_a_bundle_says_it_and_is_proved_on_pictures_of_the_training(folded: pw.Run, tmp_path: Path) -> None:
    bundle = pw.export(folded, tmp_path / "shapes.onnx")
    assert bundle.manifest.parity["of"] == "training split of shapes"
    assert bundle.manifest.evaluation is not None
    assert bundle.manifest.evaluation["folds"] == 8
    assert "predicted_accuracy" in bundle.manifest.evaluation
    assert bundle.manifest.data is not None
    assert bundle.manifest.data["folds"] == 8
    assert "8 folds, every picture once" in str(bundle.manifest)
    with pytest.raises(SourceError, match="trained on every picture"):
        pw.evaluate(bundle, data.open(folded.info.data.address), split="test")


def test_groups_and_twins_share_a_fold(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(shapes, tmp_path / "shapes"))
    for number in range(6):  # copies of one picture, under one label
        shutil.copy(copied / "red" / "0-00.png", copied / "red" / f"copy-{number}.png")
    run = fit_small(copied, out=tmp_path / "run", recipe=HEAD, group_by="([a-z]+/0-[0-9])[0-9].png")
    assert run.evaluation["images"] == 126
    assert run.evaluation["effective_images"] is not None
    (low, high), (least, most) = run.evaluation["accuracy_interval"], run.evaluation["group_interval"]
    assert most - least > high - low
    said = f"{share(least)} to {share(most)} if each group counts as one picture"
    assert said in accuracy_line(run.evaluation)
    assert said in html.unescape(run.report_path.read_text())


@pytest.mark.slow
def test_a_fold_chooses_its_input_by_the_other_pictures(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choose_size, "sizes_to_try", lambda usual, scale: (48,))
    monkeypatch.setattr(choose_size, "LEAST_ERRORS", 0)

    def chosen(trials: list[SizeTrial], fold: int | None = None) -> SizeTrial:
        """The second fold chooses another size."""
        return trials[1 if fold == 1 else 0]

    monkeypatch.setattr(choose_size, "chosen_of", chosen)
    options: dict[str, Any] = {"recipe": HEAD, "input_size": None}
    run = fit_small(shapes, out=tmp_path / "run", progress=True, **options)
    usual = pw.load(run).preprocess.size
    sizes = [each["size"] for each in run.record["fold_inputs"]]
    assert sorted(sizes) == [usual] * 7 + [48]
    assert f"folds {sizes.index(48) + 1} chose input 48 by the other pictures" in capfd.readouterr().err
    alone = fit_small(shapes, out=tmp_path / "alone", recipe=HEAD, input_size=usual)
    assert alone.weights_path.read_bytes() == run.weights_path.read_bytes()
    assert alone.evaluation["loss"] != run.evaluation["loss"]
    with monkeypatch.context() as patched:
        patched.setattr(Phase, "advance", _stopping(Phase.advance, "heads of the last layer at 48 pixels"))
        with pytest.raises(KeyboardInterrupt):
            fit_small(shapes, out=tmp_path / "again", save_minutes=0, **options)
    monkeypatch.setattr(choose_size, "chosen_of", lambda trials, fold=None: trials[0])  # a resumed run tries nothing
    resumed = fit_small(shapes, out=tmp_path / "again", resume=True, **options)
    assert resumed.evaluation == run.evaluation


@pytest.mark.parametrize("recipe", [{"views": 2}, {"views": 2, "epochs": 40, "lr": 0.03}], ids=["logistic", "steps"])
def test_views_of_a_fold_do_not_teach_the_head_that_answers_it(
    recipe: dict[str, Any], fit_small: Fit, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (90, 16, 16, 3), dtype=np.uint8)
    labels = np.repeat(["a", "b", "c"], 30)[draw.permutation(90)]
    run = fit_small((pixels, labels), out=tmp_path / "run", recipe=HEAD | recipe, folds=5)
    low, high = run.evaluation["accuracy_interval"]
    assert low <= 1 / 3 <= high


@pytest.mark.slow
def test_labels_drawn_at_random_score_chance(fit_small: Fit, tmp_path: Path) -> None:
    """What a fold chooses by is never what it is scored on: 20 sets score chance in the mean, and intervals hold it.

    The mean of 20 scores of 60 pictures is within 0.05 of chance, three standard errors. A 95% interval misses it by
    luck in one of 20 sets.
    """
    scores, held = [], 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        pixels = draw.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
        labels = np.repeat(["a", "b", "c"], 20)[draw.permutation(60)]
        run = fit_small((pixels, labels), out=tmp_path / str(seed), recipe=HEAD)
        assert run.evaluation["folds"] == 8
        low, high = run.evaluation["accuracy_interval"]
        scores.append(run.evaluation["accuracy"])
        held += low <= 1 / 3 <= high
    assert abs(np.mean(scores) - 1 / 3) < 0.05
    assert held >= 16


def test_a_class_of_two_pictures_is_scored_in_folds(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(shapes, tmp_path / "shapes"))
    own = min(path for path in copied.iterdir() if path.is_dir())
    for path in sorted(own.iterdir())[2:]:
        path.unlink()
    run = fit_small(copied, out=tmp_path / "run", recipe=HEAD)
    assert run.evaluation["folds"] == 3
    assert run.evaluation["per_class"][0]["images"] == 2
    with pytest.raises(SourceError, match="needs at least 3, for training, validation and test"):
        fit_small(copied, out=tmp_path / "split", recipe=HEAD, folds=1)
    sorted(own.iterdir())[0].unlink()
    with pytest.raises(SourceError, match=f"class '{own.name}'.*folds need at least two"):
        fit_small(copied, out=tmp_path / "one", recipe=HEAD)
