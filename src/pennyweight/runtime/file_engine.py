"""Base of the engines that execute the file of a bundle."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import BundleError, PennyweightError
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.manifest import FEATURES, LOGITS, PROBABILITIES, STRANGENESS
from pennyweight.core.reading import reason_of
from pennyweight.core.travel import Origin, keep_inherited
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.classifier import Outputs, Strange

__all__ = ["NUMBERS", "PIXELS", "FileEngine"]

PIXELS, NUMBERS = "tensor(uint8)", "tensor(float)"
"""Types of a graph's inputs and outputs, by onnxruntime's names."""


class FileEngine(ABC):
    """Engine that executes the file of a bundle on the CPU, (B, H, W, C) uint8 -> probabilities and logits.

    Pickled, or inherited by a fork, it opens its file again, once in each process. It checks nothing that `Bundle`
    checks: open a stranger's file as a `Bundle`.

    Args:
        path: The ONNX file.
        threads: Threads of one call; by default one for each core that the process may use.
        precision: One of the class's `precisions`.
        spinning: False lets a thread sleep as soon as it has no work; True lets it spin for a moment.

    Raises:
        BundleError: The file cannot be opened.
    """

    package: ClassVar[str]
    """Python package of the engine."""
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    """Precisions that the engine can compute a float graph in, the usual one first."""

    unopened: ClassVar[str] = "cannot open {path}: not a whole ONNX file ({reason}); export it again"
    """Line about a file that the engine cannot open."""

    name: str
    """Name and version, such as "onnxruntime 1.32.0"."""
    ports: Mapping[str, Port]
    """Inputs and outputs of the graph, by name."""
    metadata: Mapping[str, str]
    """Metadata of the file."""

    def __init__(
        self, path: Path, *, threads: int | None = None, precision: str = "float32", spinning: bool = True
    ) -> None:
        self._path, self.threads, self.precision, self.spinning = path, threads or cores(), precision, spinning
        self._origin = Origin.of(_open, path, type(self), threads, precision, spinning)
        self._open_here()

    @abstractmethod
    def _open(self) -> None:
        """Open the file, and set `name`, `ports` and `metadata`; any exception is a file that cannot be opened."""

    @abstractmethod
    def _run(self, pixels: Pixels, names: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        """Compute the named outputs of contiguous pixels."""

    @abstractmethod
    def _inherited(self) -> object:
        """Return what must not be freed in a forked process, which lacks its threads."""

    @cached_property
    def shared(self) -> FileEngine:
        """Single-threaded engine on the same file that several threads may call at once, without waiting."""
        if self.threads == 1:
            return self
        return type(self)(self._path, threads=1, precision=self.precision, spinning=self.spinning)

    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute probabilities and logits (B, classes) of (B, H, W, C) uint8. Raises BundleError if that fails."""
        return Outputs(*self.compute(pixels, (PROBABILITIES, LOGITS)))

    def features(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute the features before the last layer (B, F). Raises BundleError for a bundle that gives none."""
        if FEATURES not in self.ports:
            raise BundleError(
                f"{self._path} gives no features: it was exported by an earlier version, or its network does not end "
                "in a linear layer; export it again"
            )
        return self.compute(pixels, (FEATURES,))[0]

    def with_strangeness(self, pixels: Pixels) -> Strange:
        """Compute probabilities (B, classes) and strangeness (B,). Raises BundleError where there is none."""
        if STRANGENESS not in self.ports:
            raise BundleError(f"{self._path} does not say how unlike training a picture is; export it again")
        return Strange(*self.compute(pixels, (PROBABILITIES, STRANGENESS)))

    def compute(self, pixels: Pixels, names: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        """Compute the named outputs of (B, H, W, C) uint8 in one pass. Raises BundleError if that fails."""
        if self._process != os.getpid():
            self._open_in_fork()
        try:
            return self._run(np.ascontiguousarray(pixels), names)
        except Exception as error:
            raise BundleError(f"{self._path} cannot be executed: {reason_of(error)}; export it again") from error

    def _open_here(self) -> None:
        """Open the file in this process."""
        self._process = os.getpid()
        if not self._path.exists():
            raise BundleError(f"no bundle at {self._path}: there is no such file")
        if self._path.is_dir():
            raise BundleError(f"{self._path} is a folder, and a bundle is a file, such as {self._path / 'model.onnx'}")
        try:
            self._open()
        except (ImportError, PennyweightError):
            raise
        # Engines raise classes of their own compiled modules, each derived from Exception alone.
        except Exception as error:
            raise BundleError(self.unopened.format(path=self._path, reason=reason_of(error))) from error

    def _open_in_fork(self) -> None:
        """Open the file again in a forked process, which has none of the engine's threads."""
        with _forking:
            if self._process != os.getpid():
                self._origin.require_unchanged()
                keep_inherited(self._inherited())
                self.__dict__.pop("shared", None)
                self._path = Path(self._origin.path)
                self._open_here()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._origin.travel(self)

    def __copy__(self) -> Self:
        return self  # it holds nothing that changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _open(path: Path, kind: type[FileEngine], threads: int | None, precision: str, spinning: bool) -> FileEngine:
    return kind(path, threads=threads, precision=precision, spinning=spinning)


_forking = Lock()
