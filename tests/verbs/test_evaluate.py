"""`evaluate` scores the right pictures with the right labels, and the same each time."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, SourceError

Draw = Callable[..., Path]


def as_kept(evaluation: pw.Evaluation) -> dict[str, Any]:
    """As evaluation.json would read."""
    kept: dict[str, Any] = json.loads(json.dumps(evaluation.to_dict()))
    return kept


@pytest.fixture
def scored_samples(monkeypatch: pytest.MonkeyPatch) -> list[data.Sample]:
    """The samples that the network is shown, filled while evaluating."""
    from pennyweight.verbs import answered_source as room

    shown: list[data.Sample] = []
    answer = room.answer

    def noted(classifier: pw.Classifier, pictures: data.Pictures, *rest: Any) -> Any:
        shown.extend(pictures.samples)
        return answer(classifier, pictures, *rest)

    monkeypatch.setattr(room, "answer", noted)
    return shown


def test_a_run_without_a_source_gives_its_evaluation_again(trained: pw.Run) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in trained.folder.iterdir())
    for again in (trained, trained.folder, str(trained.folder)):
        assert as_kept(pw.evaluate(again)) == trained.evaluation
    assert sorted((path, path.stat().st_mtime_ns) for path in trained.folder.iterdir()) == before


def test_two_evaluations_are_identical(trained: pw.Run, bundle: pw.Bundle, shapes: Path) -> None:
    for either in (trained, bundle):
        assert pw.evaluate(either, str(shapes)) == pw.evaluate(either, str(shapes))


def test_the_bundle_scores_as_the_run(trained: pw.Run, bundle: pw.Bundle, shapes: Path) -> None:
    received, expected = as_kept(pw.evaluate(bundle, str(shapes))), trained.evaluation
    assert received.pop("loss") == pytest.approx(expected["loss"], abs=1e-4)
    assert received == {key: value for key, value in expected.items() if key != "loss"}


def test_each_split_is_the_one_that_training_had(
    trained: pw.Run, shapes: Path, scored_samples: list[data.Sample]
) -> None:
    splits = data.split(data.open(str(shapes)))
    for name in data.SPLITS:
        scored_samples.clear()
        scored = pw.evaluate(trained, split=name)
        assert (scored.split, scored.images) == (name, trained.record["data"]["counts"][name])
        assert {s.digest for s in scored_samples} == {s.digest for s in splits[name]}


def test_progress_is_told(trained: pw.Run) -> None:
    told: list[int] = []
    scored = pw.evaluate(trained, split="train", advance=told.append)
    assert sum(told) == scored.images
    assert len(told) > 1


def test_a_foreign_folder_is_scored_whole(trained: pw.Run, draw_colours: Draw, tmp_path: Path) -> None:
    scored = pw.evaluate(trained, str(draw_colours(tmp_path / "others", 4, seed=9)))
    assert (scored.source, scored.split, scored.images) == ("others", "all", 12)


def test_a_foreign_folder_with_splits_is_scored_on_the_one_asked_for(
    trained: pw.Run, draw_colours: Draw, tmp_path: Path
) -> None:
    for seed, (name, count) in enumerate({"train": 5, "val": 3, "test": 2}.items(), 20):
        draw_colours(tmp_path / "others" / name, count, seed=seed)
    for name, count in (("test", 6), ("train", 15)):
        scored = pw.evaluate(trained, str(tmp_path / "others"), split=name)
        assert (scored.split, scored.images) == (name, count)


def test_a_copy_of_the_folder_is_not_foreign(trained: pw.Run, bundle: pw.Bundle, shapes: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(shapes, tmp_path / "elsewhere" / "shapes")
    assert as_kept(pw.evaluate(trained, str(copy))) == trained.evaluation
    assert pw.evaluate(bundle, str(copy)).split == "test"


def test_a_folder_that_gained_pictures_shows_none_that_were_trained_on(
    fit_small: Callable[..., pw.Run], draw_colours: Draw, scored_samples: list[data.Sample], tmp_path: Path
) -> None:
    folder = draw_colours(tmp_path / "growing", 12)
    run = fit_small(folder, out=tmp_path / "run")
    splits = data.split(data.open(str(folder)))
    training_digests = {sample.digest for sample in (*splits.train, *splits.val)}
    draw_colours(folder, 12, seed=1)
    scored_samples.clear()
    scored = pw.evaluate(run)
    assert scored.split == "test"
    assert scored.images == len(scored_samples) > len(splits.test)
    assert not training_digests & {sample.digest for sample in scored_samples}


def test_what_was_learnt_from_is_no_test_wherever_it_lies(
    trained: pw.Run, draw_colours: Draw, scored_samples: list[data.Sample], shapes: Path, tmp_path: Path
) -> None:
    """A copy of the training folder with pictures of somebody else."""
    splits = data.split(data.open(str(shapes)))
    training_digests = {sample.digest for sample in (*splits.train, *splits.val)}
    copy = shutil.copytree(shapes, tmp_path / "mixed")
    draw_colours(copy, 4, seed=9)
    scored_samples.clear()
    said: list[str] = []
    scored = pw.evaluate(trained, str(copy), left_out=lambda each: said.append(each.reason))
    assert not training_digests & {sample.digest for sample in scored_samples}
    assert scored.images == len(scored_samples) > len(splits.test)
    kept = len(splits.train) + len(splits.val)
    assert said == [f"{kept} pictures of mixed that {trained.folder} was trained or selected on"]
    other = draw_colours(tmp_path / "other", 1, seed=9)
    for label in data.open(str(shapes)).labels:
        for old in (other / label).iterdir():
            old.unlink()
    for sample in splits.train:
        shutil.copy(sample.where, other / sample.name.split("/")[0])
    with pytest.raises(SourceError, match="was trained on every picture of other, so that none can score it"):
        pw.evaluate(trained, str(other))


# Labels


def relabelled(source: data.Source, labels: Sequence[str]) -> data.Source:
    """The same pictures of those classes, with the labels in this order."""
    samples = tuple(
        replace(sample, label=labels.index(source.labels[sample.label]))
        for sample in source.samples
        if source.labels[sample.label] in labels
    )
    return replace(source, name="relabelled", address="elsewhere", labels=tuple(labels), samples=samples)


def test_labels_in_another_order_are_the_same_labels(trained: pw.Run, draw_colours: Draw, tmp_path: Path) -> None:
    source = data.open(draw_colours(tmp_path / "others", 6, seed=9))
    expected = pw.evaluate(trained, source)
    received = pw.evaluate(trained, relabelled(source, ["red", "blue", "green"]))
    assert expected.accuracy > 0.5
    assert replace(received, source="others") == replace(expected, loss=received.loss)
    assert received.loss == pytest.approx(expected.loss)


def test_a_part_of_the_labels_is_enough(trained: pw.Run, draw_colours: Draw, tmp_path: Path) -> None:
    """`green` and `red` are 0 and 1 in their folder, 1 and 2 in the network."""
    whole = pw.evaluate(trained, str(draw_colours(tmp_path / "whole", 6, seed=9)))
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "blue")
    part = pw.evaluate(trained, str(tmp_path / "part"))
    assert part.labels == whole.labels
    assert part.images == 12
    assert part.confusion == ((0, 0, 0), *whole.confusion[1:])


def test_a_class_that_the_network_does_not_know(trained: pw.Run, draw_colours: Draw, tmp_path: Path) -> None:
    folder = draw_colours(tmp_path / "others", 4)
    (folder / "green").rename(folder / "grue")
    with pytest.raises(SourceError, match="'grue' that the network does not know; it knows blue, green, red"):
        pw.evaluate(trained, str(folder))


def test_one_class_is_enough(trained: pw.Run, bundle: pw.Bundle, draw_colours: Draw, tmp_path: Path) -> None:
    whole = pw.evaluate(trained, draw_colours(tmp_path / "whole", 6, seed=9))
    (tmp_path / "new").mkdir()
    shutil.copytree(tmp_path / "whole" / "green", tmp_path / "new" / "green")
    told: list[str] = []
    for each in (trained, bundle):
        for place in (tmp_path / "new", tmp_path / "new" / "green"):
            lone = pw.evaluate(each, place, note=told.append)
            assert (lone.images, lone.split, lone.labels) == (6, "all", whole.labels)
            assert lone.confusion == ((0, 0, 0), whole.confusion[1], (0, 0, 0))
            assert lone.accuracy == whole.per_class[1].recall
    not_looked_for = (
        f"twins of the training pictures are not looked for: {bundle.path} does not say where these are; its run does"
    )
    assert set(told) == {"its pictures are scored as of the class 'green', the name of their folder", not_looked_for}
    with pytest.raises(SourceError, match="at least two classes, found one: 'green'"):
        pw.fit(tmp_path / "new", out=tmp_path / "run")


def test_classes_of_other_names_are_renamed(trained: pw.Run, draw_colours: Draw, tmp_path: Path) -> None:
    whole = pw.evaluate(trained, draw_colours(tmp_path / "same", 6, seed=9))
    other = shutil.copytree(tmp_path / "same", tmp_path / "other")
    for name in ("green", "red"):
        (other / name).rename(other / f"{name.title()}s")
    with pytest.raises(SourceError, match=r"classes 'Greens' and 'Reds' .* --rename Greens=green --rename Reds=red"):
        pw.evaluate(trained, other)
    renamed = pw.evaluate(trained, other, rename={"Greens": "green", "Reds": "red"})
    assert sorted(map(sorted, renamed.confusion)) == sorted(map(sorted, whole.confusion))
    assert renamed.accuracy == whole.accuracy
    both = pw.evaluate(trained, other, rename={"Greens": "red", "Reds": "red"})  # two of them may be one
    assert [each.images for each in both.per_class] == [6, 0, 12]
    with pytest.raises(InputError, match="has no class 'Green' to rename; did you mean 'Greens'"):
        pw.evaluate(trained, other, rename={"Green": "green"})
    with pytest.raises(InputError, match="no class 'Green' for 'Greens'; did you mean --rename Greens=green"):
        pw.evaluate(trained, other, rename={"Greens": "Green"})


# Where things are


def test_a_run_may_move(trained: pw.Run, bundle: pw.Bundle, shapes: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(trained.folder, tmp_path / "archive" / "run")
    assert as_kept(pw.evaluate(moved)) == trained.evaluation
    shutil.copy(bundle.path, tmp_path / "m.onnx")
    assert pw.evaluate(tmp_path / "m.onnx", str(shapes)) == pw.evaluate(bundle, str(shapes))


def test_a_source_that_is_gone_is_said(
    fit_small: Callable[..., pw.Run],
    bundle: pw.Bundle,
    draw_colours: Draw,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = fit_small(draw_colours(tmp_path / "gone", 4), out=tmp_path / "run")
    shutil.rmtree(tmp_path / "gone")
    for trained, where in ((run, run.folder), (bundle, bundle.path)):
        with pytest.raises(SourceError, match="are not here") as raised:
            pw.evaluate(trained)
        assert f"evaluate {where} SOURCE" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_what_is_not_there(trained: pw.Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run or bundle at"):
        pw.evaluate(tmp_path / "nothing")
    with pytest.raises(InputError, match="unknown split 'exam'; there are train, val, test"):
        pw.evaluate(trained, split="exam")  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="no source 'nothing'"):
        pw.evaluate(trained, "nothing")


def test_a_picture_that_cannot_be_read_is_named(trained: pw.Run, draw_colours: Draw, tmp_path: Path) -> None:
    torn = draw_colours(tmp_path / "others", 4, seed=9) / "red" / "9-02.png"
    torn.write_bytes(torn.read_bytes()[:300])
    told = []
    scored = pw.evaluate(trained, str(tmp_path / "others"), left_out=told.append)
    assert scored.images == 11
    assert [each.name for each in told] == ["red/9-02.png"]
    assert str(torn) in told[0].reason


def test_every_picture_of_any_size_is_scored(trained: pw.Run, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for colour in ("blue", "red"):
        (tmp_path / "sizes" / colour).mkdir(parents=True)
        for number, (height, width) in enumerate([(1, 1), (3, 200), (200, 3), (16, 16)]):
            pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "sizes" / colour / f"{number}.png")
    assert pw.evaluate(trained, str(tmp_path / "sizes")).images == 8
