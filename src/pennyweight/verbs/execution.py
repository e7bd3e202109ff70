"""Engine, threads and precision that a caller asks for, whatever is to be executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pennyweight.core.errors import InputError
from pennyweight.core.text import say
from pennyweight.runtime import Bundle
from pennyweight.runtime.engine import (
    FASTEST,
    TORCH,
    TORCH_COMPILED,
    USUAL,
    EngineChoice,
    require_threads,
    spelled_engine,
)
from pennyweight.runtime.fastest import open_fastest

__all__ = ["FLOAT32", "Execution", "print_note"]

FLOAT32 = "float32"


def print_note(line: str) -> None:
    """Print a line on standard error."""
    say(line, error=True)


@dataclass(frozen=True)
class Execution:
    """Settings of the execution, each None where the caller leaves it open.

    Raises InputError for an unknown engine, and for threads that no engine can have.
    """

    engine: str | None = None
    """onnxruntime, openvino or fastest for a bundle; torch or torch-compiled for a run or a name."""
    threads: int | None = None
    precision: str | None = None
    note: Callable[[str], None] = print_note
    """Callback that is given a line about the choice of the fastest engine."""

    def __post_init__(self) -> None:
        if self.engine is not None:
            object.__setattr__(self, "engine", spelled_engine(self.engine))
        require_threads(self.threads)

    def open_bundle(self, path: Path) -> Bundle:
        """Open a bundle with the engine. Raises InputError, MissingPart, BundleError."""
        if self.engine in (TORCH, TORCH_COMPILED):
            raise InputError(f"{self.engine} executes runs and names, and {path} is a bundle; leave the engine out")
        name = USUAL if self.engine in (None, FASTEST) else self.engine
        asked = EngineChoice(name or USUAL, threads=self.threads, precision=self.precision or FLOAT32)
        return open_fastest(path, asked, self.note) if self.engine == FASTEST else Bundle(path, asked)

    def reopen(self, bundle: Bundle) -> Bundle:
        """Return an opened bundle, with the engine that was asked for."""
        asked = (self.engine, self.threads, self.precision) != (None, None, None)
        return self.open_bundle(bundle.path) if asked else bundle

    def settle_torch(self, what: object) -> bool:
        """Set torch's number of threads, and return True if a network is to be compiled.

        Raises InputError for an engine or a precision that only bundles have.
        """
        if self.engine not in (None, TORCH, TORCH_COMPILED):
            raise InputError(
                f"torch executes {what}, and {self.engine} executes bundles; export it, and name the bundle"
            )
        if self.precision not in (None, FLOAT32):
            raise InputError(f"torch executes {what} in {FLOAT32}, not {self.precision}; leave precision out")
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        return self.engine == TORCH_COMPILED
