"""`bench --machine`: what this machine can do, measured once and kept."""

# No `from __future__ import annotations`: Typer reads the annotations.

from dataclasses import asdict
from typing import Annotated, Any

from pennyweight.cli import options, show, show_machine
from pennyweight.cli.help import MEASUREMENT
from pennyweight.cli.options import option
from pennyweight.core.errors import InputError

__all__ = ["bench"]


def bench(
    machine: Annotated[
        bool,
        option(
            MEASUREMENT, "Measure this machine: peak rates, bandwidths, overhead, operators of many sizes.", "--machine"
        ),
    ] = False,
    threads: options.Threads = None,
    share: Annotated[
        float,
        option(
            MEASUREMENT,
            "Share of the sizes to time; a smaller share takes less time and is less exact.",
            metavar="X",
            min=0.01,
            max=1.0,
        ),
    ] = 1.0,
    anyway: Annotated[
        bool, option(MEASUREMENT, "Keep the profile of a busy machine too; `weigh` then warns of it.", "--anyway")
    ] = False,
    json: options.Json = False,
) -> None:
    """Measure this machine once, in a few minutes, so that `weigh` can predict milliseconds.

    A profile whose two halves disagree is not kept: other programs used the CPU during the measurement.
    """
    if not machine:
        raise InputError("say what to measure: `pennyweight bench --machine` measures this machine")
    from pennyweight.cost.timing.machine_profile import profile_path
    from pennyweight.verbs.bench import bench as verb

    profile = verb(threads=threads, share=share, anyway=anyway)
    path = profile_path(profile.threads)
    if not json:
        show_machine.machine_profile(profile, str(path))
        return
    found: dict[str, Any] = {
        "left_out_error": {kind: learned.error for kind, learned in profile.times.items()},
        "over_limits": dict(profile.factors),
        "agreement": profile.agreement and {**asdict(profile.agreement), "holds": profile.agreement.holds},
    }
    show.as_json({**profile.about(), "limits": profile.limits.to_dict(), **found, "path": str(path)})
