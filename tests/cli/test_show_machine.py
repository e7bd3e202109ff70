"""How a machine's profile reads."""

from __future__ import annotations

import pytest

from pennyweight.cli import show_machine
from pennyweight.cost.timing.machine_profile import make_profile
from pennyweight.cost.timing.roofline import Limits


def test_a_slow_rate_is_not_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    limits = Limits(
        macs_per_s={"float32": 1.2345e12, "int8": 2.5e8},
        bytes_per_s={"L1": 1e11, "memory": 4e8},
        level_bytes={"L1": 1 << 15},
        overhead_s=1e-6,
    )
    show_machine.machine_profile(make_profile(limits, {}), "here.json")
    said = capsys.readouterr().out
    assert all(words in said for words in ("1,234 G MACs/s", "0.25 G MACs/s", "0.4 GB/s", "32 KiB", "1.0 µs"))
