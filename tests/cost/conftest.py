"""A machine profile worked out by hand, so that predictions can be too."""

from __future__ import annotations

import numpy as np
import pytest

from pennyweight.cost import MachineProfile
from pennyweight.cost.timing.machine_profile import make_profile
from pennyweight.cost.timing.operator_time import OperatorTime
from pennyweight.cost.timing.roofline import Limits


@pytest.fixture
def limits() -> Limits:
    """10 G MACs/s; 1 GB/s from memory, 100 GB/s from a cache of 1 kB; a microsecond for each call."""
    return Limits(
        macs_per_s={"float32": 1e10},
        bytes_per_s={"L1": 1e11, "memory": 1e9},
        level_bytes={"L1": 1000},
        overhead_s=1e-6,
    )


@pytest.fixture
def profile(limits: Limits) -> MachineProfile:
    """Of that machine, whose linear layers take nine milliseconds, whatever their sizes."""
    nine_ms = OperatorTime.learn(np.random.default_rng(0).uniform(0, 10, (60, 3)).tolist(), [float(np.log(0.009))] * 60)
    return make_profile(limits, {"matrix product": nine_ms})
