"""Explanations of a failed call: the module that failed, the input it received and the input it takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

from pennyweight.cost.counting.meta_copy import CannotCopy

if TYPE_CHECKING:
    from pennyweight.cost.counting.tracer import Failure

__all__ = ["explain", "first_line"]

SPEAKING = (RuntimeError, ValueError, TypeError)
"""Errors whose message explains itself; that of a KeyError, for example, is only the key."""

Norm = nn.modules.batchnorm._NormBase
Conv = nn.modules.conv._ConvNd


def explain(given: str, error: Exception, failure: Failure | None) -> str:
    """Return one line about the inputs given to a network and the `error` that they raised."""
    if isinstance(error, CannotCopy):
        return f"the network cannot be weighed, because weighing runs a copy of it: {error}"
    reason = first_line(error)
    if not reason or not isinstance(error, SPEAKING):
        reason = f"{type(error).__name__}: {reason}".rstrip(": ")
    # Blame the input only if the failing layer declares what it takes.
    takes = _takes(failure.module) if failure else None
    start = f"the network {'does not take' if takes else 'fails on'} {given}: "
    if higher := re.search(r"HigherOrderOperator (\w+)", reason):
        start = "the network cannot be weighed: "
        reason = f"higher-order operators such as {higher[1]} cannot be traced"
    if failure is None:
        return start + reason
    where = f"{type(failure.module).__name__}"
    where += f" '{failure.name}'" if failure.name else ", the network itself,"
    received = f" received {failure.input_shape}" if failure.input_shape is not None else " failed"
    return f"{start}{where}{received}{f' and takes {takes}' if takes else ''}: {reason}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")


def _takes(module: nn.Module) -> str | None:
    """Return the input that common layers take, as a shape with the batch; None for other layers."""
    if isinstance(module, Conv):
        spatial = ", ".join("DHW"[-len(module.kernel_size) :])
        window = " no smaller than the kernel less its padding" if max(module.kernel_size) > 1 else ""
        return f"(B, {module.in_channels}, {spatial}){window}"
    if isinstance(module, nn.Linear):
        return f"(…, {module.in_features})"
    if isinstance(module, Norm):
        return f"(B, {module.num_features}, …), in train mode with more than one value per channel"
    if isinstance(module, nn.LayerNorm):
        return f"(…, {', '.join(map(str, module.normalized_shape))})"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "whole numbers, from Python: weigh(…, inputs=torch.zeros(1, 128, dtype=torch.long))"
    return None
