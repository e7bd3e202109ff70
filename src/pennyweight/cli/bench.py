"""`bench --machine`: what this machine can do, measured once and kept."""

# No `from __future__ import annotations`: Typer reads the annotations.

from dataclasses import asdict
from typing import Annotated, Any

import typer

from pennyweight.cli import show, show_machine
from pennyweight.cli.trained import Json
from pennyweight.core.errors import InputError, PennyweightError

__all__ = ["bench"]


def bench(
    machine: Annotated[
        bool, typer.Option("--machine", help="Measure peak rates, bandwidths, overhead and operators of many sizes.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With so many threads; by default torch's own.")
    ] = None,
    share: Annotated[
        float, typer.Option(metavar="X", min=0.01, max=1.0, help="Time a part of the sizes: quicker, less exact.")
    ] = 1.0,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Keep a profile of a busy machine too; weigh will say that it is one.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure this machine once, so that `weigh` can predict milliseconds. A few minutes.

    A profile that disagrees with itself is not kept: other programs took the processor while it was measured.
    """
    if not machine:
        raise InputError("say what to measure: `pennyweight bench --machine` measures this machine")
    import torch

    from pennyweight.cost import measure_machine

    if threads is not None:
        torch.set_num_threads(threads)
    profile = measure_machine(share)
    quiet = profile.agreement is None or profile.agreement.holds
    if not quiet and not anyway:
        raise PennyweightError(
            f"the machine was busy: {profile.agreement}; nothing was kept. Run it again when nothing else runs, "
            "or add --anyway to keep such a profile"
        )
    path = profile.save()
    if json:
        errors = {kind: learned.error for kind, learned in profile.times.items()}
        known: dict[str, Any] = {"left_out_error": errors, "over_limits": dict(profile.factors)}
        known["agreement"] = profile.agreement and {**asdict(profile.agreement), "holds": quiet}
        show.as_json({**profile.about(), "limits": profile.limits.to_dict(), **known, "path": str(path)})
    else:
        show_machine.machine_profile(profile, str(path))
