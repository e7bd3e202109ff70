"""The demo's own training reaches what the front page shows."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo() -> list[str]:
    """The arguments of the demo's `fit`, as the Makefile has them, without where it goes."""
    found = re.search(r"pennyweight (fit digits .*) --out", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert found is not None
    return shlex.split(found[1])


@pytest.mark.slow
def test_digits_are_read_at_98_percent(pennyweight: Callable[..., Any], empty: Path, demo: list[str]) -> None:
    outcome = pennyweight(*demo, "--out", "run")
    assert outcome.status == 0, outcome.err
    evaluation = pw.Run(Path("run")).evaluation
    assert evaluation["images"] > 250
    assert evaluation["accuracy"] >= 0.98
