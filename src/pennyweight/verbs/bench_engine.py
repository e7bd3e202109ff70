"""`bench_engine`: time bundles of many kinds on an engine, so that `pick` can predict milliseconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pennyweight.core.files import require_new
from pennyweight.core.machine import cores
from pennyweight.runtime.engine import USUAL, EngineChoice
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.measure import LEARNED_FROM, conditions_of, learn_engine_times

__all__ = ["bench_engine"]


def bench_engine(
    engine: str = USUAL,
    *,
    threads: int | None = None,
    batch: int = 1,
    int8: bool = False,
    out: str | os.PathLike[str] | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> EngineTimes:
    """Time bundles of many kinds on an engine of this machine, from which `pick` predicts; takes about two minutes.

    Args:
        engine: "onnxruntime" or "openvino".
        threads: Threads of one call; by default one for each core that the process may use.
        batch: Pictures in one call.
        int8: Time int8 bundles.
        out: File to write for `pick(device=…)` on another machine; by default the user's cache folder.
        note: Callback that is given a line before the measurement, and after each group of networks.

    Raises:
        InputError: The engine or a number cannot be used.
        MissingPart: The engine is not installed.
    """
    if out is not None:
        require_new(Path(out))
    conditions = conditions_of(
        EngineChoice(engine, threads=threads), threads=threads or cores(), batch=batch, int8=int8
    )
    note(f"timing {LEARNED_FROM} networks on {conditions}, once for this machine: about two minutes")
    timed = 0

    def advance(count: int) -> None:
        nonlocal timed
        timed += count
        note(f"timed {timed} of {LEARNED_FROM} networks")

    times = learn_engine_times(conditions, advance=advance, created=datetime.now(UTC).isoformat(timespec="seconds"))
    times.save(None if out is None else Path(out))
    return times
