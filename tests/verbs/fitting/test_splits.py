"""Splits, groups and grey pictures, from a source to its run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, RunError, SourceError

Fit = Callable[..., pw.Run]


def test_split_folders_are_kept(fit_small: Fit, draw_colours: Callable[..., Path], tmp_path: Path) -> None:
    for seed, (name, count) in enumerate({"train": 5, "val": 3, "test": 2}.items()):
        draw_colours(tmp_path / "own" / name, count, seed=seed)
    run = fit_small(tmp_path / "own", out=tmp_path / "run")
    assert run.record["data"]["counts"] == {"train": 15, "val": 9, "test": 6}
    assert run.evaluation["images"] == 6


def test_of_train_and_val_the_val_is_kept_for_the_end(
    fit_small: Fit, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    for seed, (name, count) in enumerate({"train": 10, "val": 3}.items()):
        draw_colours(tmp_path / "own" / name, count, seed=seed)
    run = fit_small(tmp_path / "own", out=tmp_path / "run")
    counts = run.record["data"]["counts"]
    assert counts["test"] == run.evaluation["images"] == 9
    assert counts["train"] + counts["val"] == 30
    assert any("val is the test split" in note for note in run.record["data"]["notes"])


def test_grey_pictures_train_a_network_of_one_channel(fit_small: Fit, tmp_path: Path) -> None:
    digits = data.open("digits")
    few = data.Source(
        name="few",
        address="few",
        labels=digits.labels,
        samples=digits.samples[:300],
        size=32,
        channels=1,
        mirrors=False,
    )
    run = fit_small(few, out=tmp_path / "run", recipe={"epochs": 1})
    assert run.record["model"]["in_channels"] == 1
    assert load_file(run.weights_path)["stem.0.weight"].shape[1] == 1
    assert run.record["recipe"]["flip"] is False  # a mirrored digit is another sign


def test_groups_are_kept_apart_and_scored_as_they_were_split(
    fit_small: Fit, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    root = draw_colours(tmp_path / "films", 30)
    for path in sorted(root.rglob("*.png")):
        number = int(path.stem.partition("-")[2])
        path.rename(path.with_name(f"film{number % 10}-{number}.png"))
    run = fit_small(root, out=tmp_path / "run", group_by="(film[0-9]+)")
    assert run.record["data"]["group_by"] == "(film[0-9]+)"
    test = data.split(data.open(root, group_by="(film[0-9]+)")).test
    assert {sample.name for sample in test} != {sample.name for sample in data.split(data.open(root)).test}
    opened = data.open(root, group_by="(film[0-9]+)")
    assert fit_small(opened, out=tmp_path / "run", resume=True).record == run.record  # it was opened by the same words
    with pytest.raises(InputError, match="group_by, read_as and trust apply to a path or a name"):
        fit_small(opened, out=tmp_path / "other", group_by="(film[0-9]+)")
    again = pw.evaluate(run)
    assert again.images == run.evaluation["images"] == len(test)
    assert again.confusion == tuple(map(tuple, run.evaluation["confusion"]))


def test_a_run_does_not_go_on_with_another_split(
    fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None]
) -> None:
    source = data.open(str(shapes))
    films = tuple(replace(sample, group=f"film {number % 12}") for number, sample in enumerate(source.samples))
    grouped = replace(source, samples=films)
    assert grouped.fingerprint == source.fingerprint
    stop_at(1)
    with pytest.raises(KeyboardInterrupt):
        fit_small(grouped, out=tmp_path / "run")
    with pytest.raises(RunError, match=r"another command: split was sha256:\w+ and is sha256:\w+ now; resume"):
        fit_small(source, out=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match=r"another command: group_by was None and is \(\[12\]\) now, split was sha256"):
        fit_small(shapes, out=tmp_path / "run", resume=True, group_by="([12])")


@pytest.mark.parametrize("inherited", ["weights", "teacher"])
def test_what_the_first_weights_or_the_teacher_saw_scores_nothing(
    trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, inherited: str
) -> None:
    before = trained.folder if inherited == "teacher" else trained.weights_path
    options = {"recipe": {"mode": "scratch", "epochs": 1}, inherited: before}
    source = split_otherwise(shapes, training_digests=10)
    run = fit_small(source, **options, out=tmp_path / "run")
    fresh = len(data.split(source).test) - 10
    assert run.evaluation["images"] == run.record["data"]["counts"]["test"] == fresh > 0
    assert f"10 pictures left out of test: {trained.folder} trained on the same" in run.record["data"]["notes"][-1]
    assert [each["reason"] for each in run.record["data"]["left_out"]] == [f"{trained.folder} trained on the same"] * 10
    assert np.isin(np.load(trained.seen_path), np.load(run.seen_path)).all()  # nor what learns from it in turn
    assert pw.evaluate(run, source).images == fresh
    with pytest.raises(SourceError, match="trained on every picture of the test split"):
        fit_small(split_otherwise(shapes, training_digests=10, fresh=False), **options, out=tmp_path / "none")


def split_otherwise(source: Path, *, training_digests: int, fresh: bool = True) -> data.Source:
    """So many training pictures of `source` in test, and with `fresh` half of its own test pictures."""
    opened = data.open(source)
    was = data.split(opened)
    test = {s.name for s in (*was.train[:training_digests], *(was.test[::2] if fresh else ()))}
    val = {s.name for s in was.val}
    named = {s.name: "test" if s.name in test else "val" if s.name in val else "train" for s in opened.samples}
    return replace(opened, samples=tuple(replace(s, split=named[s.name]) for s in opened.samples))  # type: ignore[arg-type]
