"""Explain torch.compile's failures in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pennyweight.core.errors import PennyweightError
from pennyweight.train.recipe import Recipe

__all__ = ["CompilerError", "explaining_compile_errors"]


class CompilerError(PennyweightError):
    """A failure of torch.compile on this machine; `everywhere` is true once every rank knows of it."""

    def __init__(self, reason: str, *, everywhere: bool = False) -> None:
        super().__init__(f"torch.compile fails here ({reason}); --set compile=false trains without it")
        self.reason, self.everywhere = reason, everywhere


@contextmanager
def explaining_compile_errors(recipe: Recipe) -> Iterator[None]:
    """Raise CompilerError if torch.compile fails where the recipe asks for it; other errors pass."""
    try:
        yield
    except RuntimeError as error:
        if recipe.compile and (reason := _compiler_reason(error)):
            raise CompilerError(reason) from error
        raise


def _compiler_reason(error: RuntimeError) -> str | None:
    """Return the first line of a failure of torch.compile; None for any other error."""
    from torch._dynamo.exc import TorchDynamoException  # torch.compile loads it, and nothing else does

    if not isinstance(error, TorchDynamoException) and "torch.compile is not supported" not in str(error):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 1 + lines[0].endswith(":")])
