"""Calls are timed in turn, each after a pause in which the threads of the call before it come to rest."""

import pytest

from pennyweight.core import turns


def test_each_turn_begins_with_a_pause_and_a_call_that_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: said.append("pause"))
    ticks = iter(range(1000))

    def clock() -> float:
        said.append("clock")
        return float(next(ticks))

    calls = [lambda: said.append("one"), lambda: said.append("two")]
    times = turns.time_in_turns(calls, repeats=2, clock=clock)
    assert times == [[1000.0, 1000.0], [1000.0, 1000.0]]
    turn = ["pause", "one", "clock", "one", "clock", "pause", "two", "clock", "two", "clock"]
    assert said[-2 * len(turn) :] == turn * 2
    assert said.count("pause") == 2 * (turns.WARM_UP + 2)


def test_one_call_alone_needs_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns.time, "sleep", pytest.fail)
    assert len(turns.time_in_turns([lambda: None], repeats=3)[0]) == 3
