"""What torch.compile says when it cannot."""

from __future__ import annotations

__all__ = ["why_not_compiled"]


def why_not_compiled(error: RuntimeError) -> str | None:
    """The first line of what ended torch.compile; None where `error` is of something else."""
    from torch._dynamo.exc import TorchDynamoException  # torch.compile loads it, and nothing else does

    if not isinstance(error, TorchDynamoException):
        return None
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
