"""`pick` prints the front and the best, or the nearest where nothing fits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pennyweight.search.engine_times import EngineTimes

Run = Callable[..., Any]


def test_the_command_prints_the_front_and_the_best(
    pennyweight: Run, space: Path, engine_times: EngineTimes, tmp_path: Path
) -> None:
    command = ["pick", "--params", "1M", "--classes", "10", "--space", space, "--seconds", "0"]
    outcome = pennyweight(*command, "--html", tmp_path / "pick.html")
    assert outcome.status == 0
    assert "candidates by milliseconds and accuracy" in (tmp_path / "pick.html").read_text(encoding="utf-8")
    assert "best    mobilenet_v1 width=" in outcome.out
    assert "ruled out" in outcome.out
    assert "not on your pictures" in outcome.err


def test_nothing_fits_names_the_nearest_three(pennyweight: Run, space: Path, engine_times: EngineTimes) -> None:
    outcome = pennyweight("pick", "--params", "1K", "--space", space, "--seconds", "0")
    assert outcome.status == 1
    assert outcome.out.count("nearest: ") == 3
    assert ": parameters 340,696, over 1,000" in outcome.out
    assert "error: nothing fits: of 17 candidates, 17 by --params are ruled out" in outcome.err


def test_limits_that_contradict_each_other_are_said(pennyweight: Run, space: Path, engine_times: EngineTimes) -> None:
    outcome = pennyweight("pick", "--params", "1M", "--accuracy", "37%", "--space", space, "--seconds", "0")
    assert outcome.status == 1
    assert "each limit alone can be kept, and all together cannot" in outcome.err


def test_json_has_every_candidate(pennyweight: Run, space: Path, engine_times: EngineTimes) -> None:
    outcome = pennyweight("pick", "--ms", "1s", "--space", space, "--seconds", "0", "--json")
    found = json.loads(outcome.out)
    assert len(found["candidates"]) == 17
    assert found["budget"] == {"ms": 1000.0}
    assert found["best"] in {row["name"] for row in found["candidates"]}


def test_a_device_has_its_own_engine(pennyweight: Run, space: Path) -> None:
    outcome = pennyweight("pick", "--device", "board.json", "--threads", "1")
    assert outcome.status == 1
    assert "leave --engine and --threads out" in outcome.error
