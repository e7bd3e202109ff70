"""How a machine's profile reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pennyweight.cli import main, show_machine
from pennyweight.core.cgroups import Limits as CgroupLimits
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


def test_a_containers_quota_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    draw_pictures: Callable[[Path, int], Path],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("pennyweight.core.machine.granted_cores", lambda: 64)
    monkeypatch.setattr("pennyweight.core.machine.read_limits", lambda: CgroupLimits(cpus=2.5))
    limits = Limits(macs_per_s={}, bytes_per_s={}, level_bytes={}, overhead_s=1e-6)
    show_machine.machine_profile(make_profile(limits, {}), "here.json")
    assert "3 of 64 cores (the container's CPU quota of 2.5)" in capsys.readouterr().out
    main(["doctor", str(draw_pictures(tmp_path, 3)), "--quick"])
    assert "3 of 64 cores (the container's CPU quota of 2.5)" in capsys.readouterr().out
