"""Milliseconds of bundles are learned from work, and kept with the machine and engine that they belong to."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pennyweight.core.errors import PennyweightError
from pennyweight.core.files import read_json, write_json
from pennyweight.search.engine_times import Conditions, EngineTimes, Timed
from pennyweight.search.work import COLUMNS

CONDITIONS = Conditions(engine="onnxruntime", version="1", threads=2, batch=1, precision="float32")
WORK = {"pointwise.macs": 2e-9, "depthwise.activations": 3e-7, "call": 0.2}
"""Milliseconds of each unit in a made machine."""
FEW = 18
"""Networks that teach a real engine in the test, 3 groups of those that take turns."""


def rows(count: int, noise: float = 0.0) -> list[Timed]:
    draw = np.random.default_rng(3)
    found = []
    for place in range(count):
        work = {"call": 1.0, "pointwise.macs": draw.uniform(1e7, 1e9), "depthwise.activations": draw.uniform(1e5, 1e7)}
        ms = sum(WORK[name] * value for name, value in work.items())
        found.append(Timed(f"net{place}", work, ms * (1 + noise * draw.normal())))
    return found


def test_costs_of_a_made_machine_are_found_again() -> None:
    times = EngineTimes.learn(CONDITIONS, rows(40), created="now")
    other = {"call": 1.0, "pointwise.macs": 5e8, "depthwise.activations": 4e6}
    assert times.predict(other) == pytest.approx(sum(WORK[name] * value for name, value in other.items()), rel=0.02)
    assert times.error < 0.03
    assert min(times.costs.values()) >= 0


def test_the_error_is_that_of_networks_that_were_left_out() -> None:
    times = EngineTimes.learn(CONDITIONS, rows(64, noise=0.2), created="now")
    fresh = rows(400, noise=0.0)
    assert 0.08 < times.median_error < 0.25
    assert np.median([abs(times.predict(row.work) / row.ms - 1) for row in fresh]) < times.median_error


def test_a_few_networks_teach_nothing() -> None:
    with pytest.raises(PennyweightError, match="at least 16 networks, not 15"):
        EngineTimes.learn(CONDITIONS, rows(15), created="now")


def test_a_newer_time_of_a_network_counts() -> None:
    times = EngineTimes.learn(CONDITIONS, rows(20), created="now")
    slower = [Timed(row.name, row.work, 2 * row.ms) for row in times.rows]
    assert times.with_rows(slower).predict(times.rows[0].work) == pytest.approx(2 * times.rows[0].ms, rel=0.05)
    assert len(times.with_rows(slower).rows) == 20


def test_times_are_kept_for_their_machine_and_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    times = EngineTimes.learn(CONDITIONS, rows(20), created="now")
    path = times.save()
    assert path.is_relative_to(tmp_path)
    assert EngineTimes.load(CONDITIONS) == times
    assert EngineTimes.load(replace(CONDITIONS, threads=1)) is None
    assert EngineTimes.load(replace(CONDITIONS, version="2")) is None
    write_json(path, read_json(path) | {"machine": {"processor": "another"}})
    assert EngineTimes.load(CONDITIONS) is None
    assert EngineTimes.read(path).machine == {"processor": "another"}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 99}, "newer version"), ({"rows": []}, "not a profile"), ({"costs": 3}, "not a profile"),
     ({"format": "1"}, "not a profile"), ({"costs": {"call": -1}}, "not a profile"), ({"error": "x"}, "not a profile"),
     ({"conditions": {}}, "not a profile"), ({"conditions": None}, "not a profile")],
)  # fmt: skip
def test_a_file_that_is_no_profile_is_refused_in_a_line(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = EngineTimes.learn(CONDITIONS, rows(20), created="now").save(tmp_path / "profile.json")
    write_json(path, read_json(path) | change)
    with pytest.raises(PennyweightError, match=message) as refused:
        EngineTimes.read(path)
    assert "\n" not in str(refused.value)


def test_every_quantity_of_a_counted_network_is_a_column() -> None:
    from pennyweight.search.counted import count_candidate
    from pennyweight.search.space import Candidate

    for name in ("mobilenet_v2", "efficientnet_b0", "shufflenet_v1_g3_x1_0", "resnext50_32x4d", "vit_ti_16"):
        assert set(count_candidate(Candidate(name, {}, 96, "")).work) <= set(COLUMNS)


def test_a_network_timed_beside_other_programs_is_timed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from pennyweight.search import measure

    tries = [[[2.0, 2.1, 2.2], [4.9, 6.0, 9.0], [4.0, 8.0, 8.0]], [[5.0, 5.1, 5.2], [4.0, 7.0, 7.0]], [[4.2, 9.0, 9.0]]]
    asked: list[int] = []

    def in_turns(calls: Sequence[object], **_: object) -> list[list[float]]:
        asked.append(len(calls))
        return tries.pop(0)

    monkeypatch.setattr(measure, "time_in_turns", in_turns)
    assert measure.calm_medians([lambda: None] * 3, within_s=1.0) == [2.1, 5.1, pytest.approx(4.0 * measure.USUAL)]
    assert asked == [3, 2, 1]


@pytest.mark.slow
def test_an_engine_of_this_machine_is_learned_from_timed_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own networks are not judged by the clock: only their order against their work is."""
    from pennyweight.runtime.engine import EngineChoice
    from pennyweight.search import measure

    monkeypatch.setattr(measure, "LEARNED_FROM", FEW)
    monkeypatch.setattr(measure, "TRIES", 1)
    conditions = measure.conditions_of(EngineChoice(), threads=1, batch=1, int8=False)
    counts: list[int] = []
    times = measure.learn_engine_times(conditions, created="now", advance=counts.append)
    assert sum(counts) == len(times.rows) == FEW
    assert len(counts) > 1
    small, large = ({name: factor * value for name, value in times.rows[0].work.items()} for factor in (1.0, 8.0))
    assert 0 < times.predict(small) < times.predict(large)
