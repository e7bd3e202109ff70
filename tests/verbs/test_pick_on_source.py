"""`pick` on pictures tries what may keep the limits, chooses by held-out accuracy, and resumes."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight.nn.weights import save_weights
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.picks import HELD_OUT, Chosen, Pick
from pennyweight.search.space import Candidate, candidates_of
from pennyweight.search.tries import Halving, spread
from pennyweight.verbs.fitting.request import FitRequest
from pennyweight.verbs.picking.options import SourcePick
from pennyweight.verbs.picking.pictures import Answer, TriedPictures


def row(network: str, macs: int, verdict: str = "fits") -> Pick:
    return Pick(
        name=f"{network} {macs}", network=network, config={}, size=32, params=1, macs=macs, size_bytes=1,
        memory_bytes=1, ms=1.0, ms_error=0.0, ms_is="measured", accuracy=None, accuracy_error=0.0, accuracy_is="",
        verdict=verdict,
    )  # fmt: skip


def test_families_give_their_largest_then_their_smallest_then_those_between() -> None:
    rows = [row("mobilenet_v1", macs) for macs in (1, 2, 3, 4, 5)] + [row("resnet18", 7), row("resnet18", 8, "exceeds")]
    names = [each.name for each in spread(rows, 9)]
    assert names == [
        f"{each}" for each in ("mobilenet_v1 5", "resnet18 7", *(f"mobilenet_v1 {n}" for n in (1, 3, 4, 2)))
    ]
    assert [each.name for each in spread(rows, 2)] == names[:2]
    assert spread([], 3) == []


@pytest.mark.parametrize("seconds", [3, 60, 300, 3000])
def test_halving_fits_its_seconds(seconds: float) -> None:
    halving = Halving.within(seconds)
    first, *further = [length for _, length in halving.lengths()]
    spent = halving.candidates * first + sum((halving.candidates / 3 ** (n + 1) + 1) * s for n, s in enumerate(further))
    assert spent == pytest.approx(seconds)
    assert [step for step, _ in halving.lengths()] == [1, 3, 9][: halving.rungs]


def arrays(count: int, side: int) -> tuple[Any, Any]:
    """Return noise whose brightness is its class."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = generator.integers(0, 100, (count, side, side, 3)) + 100 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


def tried_pictures(source: Any) -> TriedPictures:
    return TriedPictures(SourcePick(source=source, minutes=3), pw.data.open(source))


def test_a_source_too_small_for_trials_is_one_line(engine_times: EngineTimes) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(pw.PennyweightError, match="26 training pictures, and candidates are told apart by at least 40"):
        pw.pick({"ms": 8}, source=arrays(40, 8), minutes=3)


@pytest.mark.slow
def test_no_trial_reads_the_test_split(engine_times: EngineTimes) -> None:
    pictures = tried_pictures(arrays(120, 16))
    (candidate,) = candidates_of([{"network": "resnet_9", "stem": "cifar", "width": [0.25], "sizes": [16]}])
    answer = pictures.answer_by_training(candidate, 1.0)
    assert 0.5 < answer.accuracy <= 1
    assert answer.interval[0] <= answer.accuracy <= answer.interval[1]
    (read,) = pictures._read.values()
    seen = {sample.name for part in read.values() for sample in part.samples}
    assert len(seen) == answer.pictures + len(pictures.fitting.splits.train)
    assert seen.isdisjoint(sample.name for sample in pictures.fitting.splits.test)
    assert seen.isdisjoint({sample.name for sample in pictures._trial.samples} - seen)


@pytest.mark.slow
def test_weights_are_tried_at_their_size_and_at_smaller_ones(engine_times: EngineTimes, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    network = pw.create("mobilenet_v1", num_classes=10, width=0.25)
    save_weights(tmp_path / "small.safetensors", network, {})
    pictures = tried_pictures(arrays(120, 96))
    candidates = pictures.with_weights((96, 160, 256), tmp_path)
    assert [each.size for each in candidates] == [96, 160, 224]
    assert {each.network for each in candidates} == {"mobilenet_v1_x0_25"}
    answer = pictures.answer_by_head(candidates[0])
    assert answer.accuracy > 0.8
    assert answer.pictures <= len(pictures.fitting.splits.train)
    assert pictures.with_weights((96,), "none") == []


class Pictures:
    """Pictures on which wider networks are better, and one cannot be trained."""

    size, are_small = 32, False
    source = SimpleNamespace(
        name="shapes", labels=["a", "b"], fingerprint="sha256:1", samples=range(100), streamed=False
    )

    def __init__(self, asked: Any, source: Any) -> None:
        self.tried: list[tuple[str, float]] = []
        Pictures.last = self

    last: Any = None

    def with_weights(self, sizes: Any, weights: Any) -> list[Candidate]:
        return []

    def answer_by_training(self, candidate: Candidate, seconds: float) -> Answer:
        self.tried.append((candidate.name, seconds))
        if candidate.size == 48:
            raise pw.InputError(f"no {candidate.size} pixels")
        accuracy = 0.5 + candidate.config.get("width", 1.0) / 4
        return Answer(accuracy, (accuracy - 0.1, accuracy + 0.1), 100, 0.0)

    def request_of(self, candidate: Candidate) -> Any:
        return FitRequest(source="digits", model=candidate.network)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, engine_times: EngineTimes, tmp_path: Path) -> list[tuple[str, Any, Path]]:
    """Stand-ins for pictures, times and the last training; the names that were trained at the end."""
    pytest.importorskip("optuna")
    from pennyweight.search.pick import Search
    from pennyweight.verbs.picking import on_source
    from pennyweight.verbs.picking import search as module

    found: list[tuple[str, Any, Path]] = []

    def measure(self: Search, names: list[str], *, within_s: float) -> None:
        self.measured |= {each.candidate.name: self.times.predict(each.work) for each in self.counted}

    def finish(name: str, request: Any, folder: Path, conditions: Any, **others: Any) -> Chosen:
        found.append((name, request, folder))
        folder.mkdir()
        (folder / "model.onnx").touch()
        return Chosen(
            name=name, run=str(folder), bundle=f"{folder}/model.onnx", ms=1.5, accuracy=0.75,
            accuracy_interval=(0.7, 0.8),
        )  # fmt: skip

    monkeypatch.setattr(on_source, "TriedPictures", Pictures)
    monkeypatch.setattr(on_source, "data", SimpleNamespace(open=lambda source, **how: Pictures.source))
    monkeypatch.setattr(module, "finish", finish)
    monkeypatch.setattr(Search, "measure", measure)
    monkeypatch.chdir(tmp_path)
    return found


def picked(space: Path, budget: Mapping[str, Any] | None = None, **options: Any) -> pw.Picks:
    return pw.pick(budget or {"params": "1M"}, source="shapes", minutes=15, space=space, **options)


@pytest.mark.slow
def test_the_most_accurate_is_chosen_and_the_same_call_tries_nothing_again(
    made: list[Any], space: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    found = picked(space, note=lines.append)
    assert found.best is not None
    assert found.chosen is not None
    assert found.best.accuracy == max(each.accuracy or 0 for each in found.tried)
    assert found.best.params <= 1_000_000
    assert found.chosen.name == found.best.name == made[0][0]
    assert {each.accuracy_is for each in found.tried} == {HELD_OUT}
    assert {each.size for each in found.tried} <= {32, 64}
    assert sum("is not tried: no 48 pixels" in line for line in lines) == len(
        {name for name, _ in Pictures.last.tried if name.endswith(" 48")}
    )
    lengths = [seconds for _, seconds in Pictures.last.tried]
    assert len(set(lengths)) == 3
    folder = next(tmp_path.glob("runs/shapes-pick-*"))
    assert Path(found.chosen.run) == folder.relative_to(tmp_path) / "run"
    assert f"<h1>{found.best.name}</h1>" in (folder / "report.html").read_text(encoding="utf-8")
    Pictures.last = None
    again = picked(space)
    assert Pictures.last is None  # not even the pictures are looked at
    assert len(made) == 1
    assert json.loads(json.dumps(again.to_dict())) == json.loads(json.dumps(found.to_dict()))
    assert repr(again) == repr(found)
    (folder / "pick.json").write_text("{", encoding="utf-8")
    with pytest.raises(pw.PennyweightError, match=r"pick\.json"):
        picked(space)


@pytest.mark.slow
def test_the_chosen_network_gets_more_time_where_too_little_is_left(
    made: list[Any], space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pennyweight.train.deadline import TooFewMinutes
    from pennyweight.verbs.picking import search as module

    asked: list[float] = []
    end = module.finish

    def finish(name: str, request: Any, *others: Any, **options: Any) -> Chosen:
        asked.append(request.minutes)
        if len(asked) == 1:
            raise TooFewMinutes("over")
        return end(name, request, *others, **options)

    monkeypatch.setattr(module, "finish", finish)
    assert picked(space).chosen is not None
    assert asked == [asked[0], 3 * asked[0]]


@pytest.mark.slow
def test_an_accuracy_limit_is_that_on_the_pictures(made: list[Any], space: Path) -> None:
    found = picked(space, {"accuracy": 0.99})
    assert found.best is None
    assert made == []
    assert [*found.nearest[0].excesses] == ["accuracy"]
    assert found.nearest[0].accuracy == max(each.accuracy or 0 for each in found.tried)


@pytest.mark.slow
def test_what_no_candidate_keeps_is_not_tried(made: list[Any], space: Path) -> None:
    found = picked(space, {"params": "1K"})
    assert found.best is None
    assert len(found.nearest) == 3
    assert Pictures.last.tried == []


@pytest.mark.slow
def test_workers_that_share_a_storage_have_folders_of_their_own(made: list[Any], space: Path, tmp_path: Path) -> None:
    one = picked(space, out=tmp_path / "one", storage=str(tmp_path / "trials.journal"))
    other = picked(space, out=tmp_path / "other", storage=str(tmp_path / "trials.journal"))
    assert len(made) == 1
    assert one.chosen == other.chosen
    with pytest.raises(pw.PennyweightError, match="has another search, with other settings"):
        picked(space, {"params": "2M"}, out=tmp_path / "one")
    Pictures.last = None
    with pytest.raises(pw.PennyweightError, match="is no folder of a search"):
        picked(space, out=tmp_path)
    with pytest.raises(pw.PennyweightError, match=r"space\.toml is no folder that can be written"):
        picked(space, out=space / "out")
    assert Pictures.last is None
    with pytest.raises(pw.PennyweightError, match=r"--storage .*no-such-folder.* cannot be opened"):
        picked(space, out=tmp_path / "third", storage=str(tmp_path / "no-such-folder" / "trials.journal"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 3}, "minutes needs a source"),
        ({"storage": "a"}, "storage needs a source"),
        ({"source": "digits"}, "needs minutes, such as --minutes 15"),
        ({"source": "digits", "minutes": 0.5}, "minutes must be at least 1, not 0.5"),
        ({"source": "digits", "minutes": "3"}, "minutes must be a number"),
        ({"source": "digits", "minutes": 3, "classes": 10}, "classes are those of the source"),
        ({"source": "digits", "minutes": 3, "seed": -1}, "seed must be at least 0"),
        ({"source": "digits", "minutes": 3, "storage": " "}, "storage is the path of a journal file"),
        ({"source": "digits", "minutes": 3, "weight": "none"}, "weight"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(
    options: dict[str, Any], message: str, engine_times: EngineTimes
) -> None:
    with pytest.raises((pw.PennyweightError, TypeError), match=message) as refused:
        pw.pick({"ms": 8}, **options)
    assert "\n" not in str(refused.value)
