"""`bench_machine`: measure this machine, so that `weigh` can predict milliseconds."""

from __future__ import annotations

import torch

from pennyweight import cost
from pennyweight.core.errors import InputError, PennyweightError

__all__ = ["bench_machine"]


def bench_machine(*, threads: int | None = None, share: float = 1.0, anyway: bool = False) -> cost.MachineProfile:
    """Measure this machine and keep its profile: peak rates, bandwidths, call overhead and operators of many sizes.

    The measurement takes a few minutes. `pw.weigh_all` predicts milliseconds from the profile.

    Args:
        threads: Threads of torch, which keeps that number; None keeps its present number.
        share: Share of the sizes to time, above 0 and at most 1; a smaller one is quicker and less exact.
        anyway: Keep the profile of a busy machine too, whose two halves of the measurement disagree.

    Returns:
        The profile, which is kept in the user's cache folder: `limits` in MACs/s and bytes/s, `times` by kind of
        operator, `agreement` of the two halves of the measurement.

    Raises:
        InputError: `threads` or `share` is out of range.
        PennyweightError: The machine was busy, and `anyway` is False; no profile is kept.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, not {threads}")
    if not 0 < share <= 1:
        raise InputError(f"share must be above 0 and at most 1, not {share}")
    if threads is not None:
        torch.set_num_threads(threads)
    profile = cost.measure_machine(share)
    if profile.agreement is not None and not profile.agreement.holds and not anyway:
        raise PennyweightError(
            f"the machine was busy: {profile.agreement}; nothing was kept. Run it again when nothing else runs, "
            "or add --anyway to keep such a profile"
        )
    profile.save()
    return profile
