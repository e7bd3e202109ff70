"""`pick` finds what keeps a budget, measures the best, and says what every figure is."""

from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.core.files import read_json, write_json
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.picks import EXCEEDS, MEASURED, PREDICTED


def test_counted_limits_are_kept_and_the_most_accurate_is_best(space: Path, engine_times: EngineTimes) -> None:
    found = pw.pick({"params": "1M"}, space=space, classes=10, seconds=0)
    assert len(found.candidates) == 17
    assert found.best is not None
    assert {row.verdict == EXCEEDS for row in found.candidates if row.params > 1_000_000} == {True}
    fitting = [row for row in found.candidates if row.params <= 1_000_000 and row.accuracy is not None]
    assert found.best.accuracy == max(row.accuracy for row in fitting)
    network = pw.create(found.best.network, num_classes=10, **found.best.config)
    assert sum(parameter.numel() for parameter in network.parameters()) == found.best.params
    assert {row.ms_is for row in found.candidates} == {PREDICTED}


def test_a_notebook_shows_the_facts_and_the_front_and_a_table_of_every_candidate(
    space: Path, engine_times: EngineTimes
) -> None:
    found = pw.pick({"params": "1M"}, space=space, seconds=0)
    page, front = found._repr_html_(), found.front._repr_html_()
    assert found.best is not None
    assert front is not None
    assert page.endswith(front)
    assert front.count("<tr>") == 1 + min(len(found.front), 10)
    assert front.index(found.best.name) < front.index(found.front[-1].name if len(found.front) < 11 else "</table>")
    assert len(found.table) == len(found.candidates)
    assert type(found.front)(())._repr_html_() is None


@pytest.mark.slow
def test_the_front_is_measured_on_this_machine(space: Path, engine_times: EngineTimes) -> None:
    space.write_text("candidates = [{network = 'mobilenet_v1', sizes = [32, 64], width = 0.25}]")
    found = pw.pick(None, space=space, classes=10, seconds=600)
    assert {row.ms_is for row in found.front} == {MEASURED}
    assert all(row.ms > 0 for row in found.front)
    kept = EngineTimes.load(engine_times.conditions)
    assert kept is not None
    assert {row.name for row in found.front} <= {row.name for row in kept.rows}


def test_predicted_milliseconds_are_those_of_the_engines_times(space: Path, engine_times: EngineTimes) -> None:
    found = pw.pick({"ms": 3}, space=space, seconds=0)
    small = next(row for row in found.candidates if row.name == "mobilenet_v1 width=0.25 at 32")
    assert small.ms == pytest.approx(1 + small.macs / 1e7, rel=0.25)
    assert found.conditions == engine_times.conditions


def test_another_machines_profile_predicts_and_measures_nothing(
    space: Path, engine_times: EngineTimes, tmp_path: Path
) -> None:
    path = engine_times.save(tmp_path / "board.json")
    write_json(path, read_json(path) | {"machine": {"processor": "a board", "cores": 4}})
    lines: list[str] = []
    found = pw.pick({"ms": 3}, space=space, device=path, note=lines.append)
    assert {row.ms_is for row in found.candidates} == {PREDICTED}
    assert found.machine == {"processor": "a board", "cores": 4}
    assert "predicting for a board" in lines[0]


@pytest.mark.parametrize(
    ("budget", "settings", "message"),
    [
        ({"parms": 8}, {}, "did you mean 'params'"),
        ({"ms": "8MB"}, {}, "--ms is a number above 0"),
        (8, {}, "a budget is a mapping of limits"),
        (None, {"batch": 0}, "batch must be a whole number from 1"),
        (None, {"classes": 0}, "classes must be a whole number from 1"),
        (None, {"seconds": -1}, "seconds must be a number from 0"),
        (None, {"engine": "onxruntime"}, "did you mean 'onnxruntime'"),
        (None, {"space": "no-such.toml"}, "cannot be read"),
        (None, {"device": "no-such.json"}, "no-such.json"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    budget: Any, settings: dict[str, Any], message: str, engine_times: EngineTimes
) -> None:
    with pytest.raises(pw.PennyweightError, match=message) as refused:
        pw.pick(budget, **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("batch", [0, -1, True, 2.5, "8", 5000])
def test_a_batch_that_no_call_can_have_is_refused_before_anything_is_timed(batch: Any) -> None:
    for measure in (pw.bench_engine, pw.pick):
        with pytest.raises(pw.PennyweightError, match=r"batch must be a whole number from 1 to 4,096, not"):
            measure(batch=batch)


def test_the_first_measurement_of_an_engine_says_how_far_it_is(
    engine_times: EngineTimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(conditions: Any, *, created: str, advance: Any) -> EngineTimes:
        for _ in range(2):
            advance(6)
        return engine_times

    monkeypatch.setattr("pennyweight.verbs.bench_engine.learn_engine_times", learn)
    lines: list[str] = []
    pw.bench_engine(out=tmp_path / "times.json", note=lines.append)
    assert lines[1:] == ["timed 6 of 60 networks", "timed 12 of 60 networks"]
