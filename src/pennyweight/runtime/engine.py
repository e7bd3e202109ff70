"""Table of the engines that execute bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pennyweight.core.errors import InputError, MissingPart, nearest, received
from pennyweight.core.extras import missing_part
from pennyweight.runtime.file_engine import FileEngine
from pennyweight.runtime.onnx_engine import OnnxEngine
from pennyweight.runtime.openvino_engine import OpenVinoEngine

__all__ = [
    "ENGINES",
    "FASTEST",
    "NAMES",
    "TORCH",
    "TORCH_COMPILED",
    "USUAL",
    "EngineChoice",
    "OnnxEngine",
    "available",
    "require_batch",
    "require_engine",
    "require_threads",
    "spelled_engine",
]

ENGINES: Mapping[str, type[FileEngine]] = {"onnxruntime": OnnxEngine, "openvino": OpenVinoEngine}
"""Name -> engine of bundles."""
USUAL = "onnxruntime"
"""Engine that the base installation has, and that `export` proves."""
FASTEST = "fastest"
"""Rule: the fastest engine of a bundle on this machine."""
TORCH, TORCH_COMPILED = "torch", "torch-compiled"
"""Engines of runs and of names, which need torch."""
NAMES = (*ENGINES, TORCH, TORCH_COMPILED, FASTEST)
SPELLINGS = {
    "bf16": "bfloat16",
    "f32": "float32",
    "fp32": "float32",
    "ort": "onnxruntime",
    "ov": "openvino",
    "eager": TORCH,
    "torch-eager": TORCH,
    "compiled": TORCH_COMPILED,
    "torch-compile": TORCH_COMPILED,
}
"""Other spellings of engines and precisions."""
MOST_THREADS, MOST_BATCH = 1024, 4096


def available(name: str) -> bool:
    """Return True if the package of an engine is installed; nothing is imported."""
    return find_spec(ENGINES[name].package) is not None


def require_engine(name: str) -> str:
    """Return the name of an engine of bundles as ENGINES spells it.

    Raises:
        InputError: There is no such engine.
        MissingPart: Its package is not installed; the message has the command that adds it.
    """
    found = spelled_engine(name)
    if found not in ENGINES:
        raise InputError(f"{found} does not execute bundles; take {' or '.join(ENGINES)}")
    if not available(found):
        raise missing_part(ModuleNotFoundError(name=ENGINES[found].package)) or MissingPart(f"{found} is not installed")
    return found


def require_threads(threads: int | None) -> None:
    """Raise InputError for a number of threads that no engine can have."""
    if threads is None:
        return
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= MOST_THREADS:
        raise InputError(f"threads must be a whole number from 1 to {MOST_THREADS:,}, not {threads!r}")


def require_batch(batch: int) -> None:
    """Raise InputError for a number of pictures that no call of an engine can have."""
    if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= MOST_BATCH:
        raise InputError(f"batch must be a whole number from 1 to {MOST_BATCH:,}, not {received(batch)}")


def require_precision(precision: str, name: str) -> str:
    """Return a precision by our spelling. Raises InputError for one that the engine lacks."""
    known = ENGINES[name].precisions
    found = _spelled(precision, "precision")
    if found in known:
        return found
    if able := [other for other in ENGINES if found in ENGINES[other].precisions]:
        raise InputError(f"{name} does not compute in {found}; take the engine {' or '.join(able)}, or float32")
    every = tuple(dict.fromkeys(each for kind in ENGINES.values() for each in kind.precisions))
    there = f"; there are {_listed(every)}"
    raise InputError(f"unknown precision '{precision}'{nearest(found, every, otherwise=there)}")


@dataclass(frozen=True)
class EngineChoice:
    """Engine of a bundle, and its settings.

    Raises:
        InputError: The engine or the precision is unknown, or `threads` is out of range.
        MissingPart: The engine is not installed.
    """

    name: str = USUAL
    """Name of the engine, one of ENGINES; its spelling may have capital letters."""
    threads: int | None = None
    """Threads of one call; None is one for each core that the process may use."""
    precision: str = "float32"
    """Precision of a float graph's arithmetic: "float32", or "bfloat16" of an engine that has it."""
    spinning: bool = True
    """False lets a thread sleep as soon as it has no work; True lets it spin for a moment."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", require_engine(self.name))
        object.__setattr__(self, "precision", require_precision(self.precision, self.name))
        require_threads(self.threads)

    def open(self, path: Path) -> FileEngine:
        """Open the file of a bundle, which `Bundle` has checked. Raises BundleError if the engine cannot."""
        kind = ENGINES[self.name]
        return kind(path, threads=self.threads, precision=self.precision, spinning=self.spinning)


def spelled_engine(name: object) -> str:
    """Return the name of an engine, or of a rule for choosing one, by our spelling. Raises InputError."""
    found = _spelled(name, "engine")
    if found not in NAMES:
        raise InputError(f"unknown engine '{name}'{nearest(found, NAMES, otherwise=f'; there are {_listed(NAMES)}')}")
    return found


def _spelled(value: object, kind: str) -> str:
    """Return a name in small letters, by our spelling. Raises InputError for something else than text."""
    if not isinstance(value, str):
        raise InputError(f"{kind} must be a name, not {received(value)}")
    text = value.strip().casefold().replace("_", "-")
    return SPELLINGS.get(text, text)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
