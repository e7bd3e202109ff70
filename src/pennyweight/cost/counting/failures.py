"""Why a network does not take an input: the module that failed, what it received and what it takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

from pennyweight.cost.counting.meta_copy import Uncopied

if TYPE_CHECKING:
    from pennyweight.cost.counting.tracer import Failure

__all__ = ["explain", "first_line"]

SPEAKING = (RuntimeError, ValueError, TypeError)
"""Of these the words are enough; those of a KeyError are the key alone."""

Norm = nn.modules.batchnorm._NormBase
Conv = nn.modules.conv._ConvNd


def explain(given: str, error: Exception, failure: Failure | None) -> str:
    """One line about what was given to a network and ended in `error`."""
    if isinstance(error, Uncopied):
        return f"the network cannot be weighed, for only a copy of it is run: {error}"
    reason = first_line(error)
    if not reason or not isinstance(error, SPEAKING):
        reason = f"{type(error).__name__}: {reason}".rstrip(": ")
    # Whether the input is at fault is known where a layer says what it takes.
    takes = _takes(failure.module) if failure else None
    said = f"the network {'does not take' if takes else 'fails on'} {given}: "
    if higher := re.search(r"HigherOrderOperator (\w+)", reason):
        said = "the network cannot be weighed: "
        reason = f"operators of higher order, such as {higher[1]}, cannot be followed"
    if failure is None:
        return said + reason
    where = f"{type(failure.module).__name__}"
    where += f" '{failure.name}'" if failure.name else ", the network itself,"
    received = f" received {failure.input_shape}" if failure.input_shape is not None else " failed"
    return f"{said}{where}{received}{f' and takes {takes}' if takes else ''}: {reason}"


def first_line(error: Exception) -> str:
    """Return the first line of what `error` says."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")


def _takes(module: nn.Module) -> str | None:
    """The input of the layers that most often meet a wrong one, in shapes with the batch."""
    if isinstance(module, Conv):
        spatial = ", ".join("DHW"[-len(module.kernel_size) :])
        window = " of at least the kernel's size less padding" if max(module.kernel_size) > 1 else ""
        return f"(B, {module.in_channels}, {spatial}){window}"
    if isinstance(module, nn.Linear):
        return f"(…, {module.in_features})"
    if isinstance(module, Norm):
        return f"(B, {module.num_features}, …), in train mode of more than one value a channel"
    if isinstance(module, nn.LayerNorm):
        return f"(…, {', '.join(map(str, module.normalized_shape))})"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "whole numbers, from Python: weigh(…, inputs=torch.zeros(1, 128, dtype=torch.long))"
    return None
