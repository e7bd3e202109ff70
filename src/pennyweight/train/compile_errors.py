"""What torch.compile says when it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pennyweight.core.errors import PennyweightError
from pennyweight.train.recipe import Recipe

__all__ = ["CompilerError", "explaining_compile_errors"]


class CompilerError(PennyweightError):
    """torch.compile fails here; `everywhere` says whether every rank knows."""

    def __init__(self, reason: str, *, everywhere: bool = False) -> None:
        super().__init__(f"torch.compile fails here ({reason}); --set compile=false trains without it")
        self.reason, self.everywhere = reason, everywhere


@contextmanager
def explaining_compile_errors(recipe: Recipe) -> Iterator[None]:
    """Raise CompilerError where what the recipe has compiled cannot be; other errors pass."""
    try:
        yield
    except RuntimeError as error:
        if recipe.compile and (reason := _reason(error)):
            raise CompilerError(reason) from error
        raise


def _reason(error: RuntimeError) -> str | None:
    """A line of what ended torch.compile; None where `error` is of something else."""
    from torch._dynamo.exc import TorchDynamoException  # torch.compile loads it, and nothing else does

    if not isinstance(error, TorchDynamoException) and "torch.compile is not supported" not in str(error):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 1 + lines[0].endswith(":")])
