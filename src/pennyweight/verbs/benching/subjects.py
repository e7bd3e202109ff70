"""Networks that `bench` compares, each in the forms that its engines take."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pennyweight.core.errors import InputError
from pennyweight.core.run import Run
from pennyweight.runtime import Bundle, Classifier
from pennyweight.runtime.engine import (
    ENGINES,
    FASTEST,
    TORCH,
    TORCH_COMPILED,
    USUAL,
    available,
    require_engine,
    spelled_engine,
)
from pennyweight.verbs.execution import Execution
from pennyweight.verbs.load import classifier_of, open_trained

__all__ = ["Subject", "opened_subjects"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Network with the file that engines of bundles open, and with what torch loads."""

    name: str
    bundle: Path | None = None
    torch: Path | str | None = None
    """Run or name that torch executes; None for a bundle."""
    weights: Path | str | None = None
    """Weights of a name."""
    weights_path: Path | None = None
    source: str | None = None
    """Name of the source of the training pictures."""
    engines: tuple[str, ...] = ()

    def what(self, engine: str) -> dict[str, Any]:
        """Return what `load` opens for an engine, and its weights."""
        if engine in ENGINES:
            return {"what": self.bundle, "weights": None}
        return {"what": self.torch, "weights": self.weights}

    def open(self, engine: str, threads: int, precision: str | None) -> Classifier:
        """Open the network with an engine. Raises as `pw.load` does."""
        execution = Execution(engine, threads, precision if engine in ENGINES else None)
        given = self.what(engine)
        return classifier_of(open_trained(given["what"], given["weights"], execution=execution), execution)

    def file_bytes(self, engine: str) -> int:
        """Return the size of the file that an engine loads."""
        path = self.bundle if engine in ENGINES else self.weights_path
        return path.stat().st_size if path is not None and path.is_file() else 0


@contextmanager
def opened_subjects(
    names: Sequence[Any],
    engines: Sequence[str] | None,
    weights: str | os.PathLike[str] | None,
    note: Callable[[str], None],
) -> Iterator[list[Subject]]:
    """Yield the networks; those that are not bundles are exported to a temporary folder, if an engine needs that.

    Raises InputError for a network, or for an engine that cannot execute it.
    """
    asked = None if engines is None else [_require(engine) for engine in engines]
    with TemporaryDirectory(prefix="pennyweight-bench-") as folder:
        yield [_subject(name, asked, weights, Path(folder, str(place)), note) for place, name in enumerate(names)]


def _require(name: str) -> str:
    """Return an engine's name. Raises InputError, MissingPart."""
    found = spelled_engine(name)
    if found == FASTEST:
        raise InputError("bench times every engine itself; name some, or leave fastest out")
    return found if found in (TORCH, TORCH_COMPILED) else require_engine(found)


def _subject(
    given: Any,
    asked: list[str] | None,
    weights: str | os.PathLike[str] | None,
    folder: Path,
    note: Callable[[str], None],
) -> Subject:
    of_bundles = [name for name in ENGINES if available(name)]
    if isinstance(given, Bundle) or (isinstance(given, (str, os.PathLike)) and Path(given).is_file()):
        bundle = given if isinstance(given, Bundle) else Bundle(Path(given))
        usual = of_bundles if bundle.manifest.quantization is None else [USUAL]
        return _of_bundle(bundle, asked or usual, note)
    chosen = tuple(asked or [TORCH, *of_bundles])
    folder.mkdir()
    subject = _of_torch(given, chosen, weights, folder, note)
    if any(engine in ENGINES for engine in chosen):
        from pennyweight.verbs.export import export

        note(f"{subject.name} is exported to a temporary bundle for {', '.join(e for e in chosen if e in ENGINES)}")
        assert subject.torch is not None
        made = export(subject.torch, folder / "model.onnx", weights=subject.weights)
        subject = Subject(**{**vars(subject), "bundle": made.path})
    return subject


def _of_bundle(bundle: Bundle, asked: Sequence[str], note: Callable[[str], None]) -> Subject:
    """Return a bundle with the engines that execute it. Raises InputError where there is none."""
    engines = tuple(name for name in asked if name in ENGINES)
    torch = [name for name in asked if name not in ENGINES]
    if not engines:
        raise InputError(f"{torch[0]} executes runs and names, and {bundle.path} is a bundle; name the run instead")
    if torch:
        note(f"{bundle.path} is a bundle, which {' and '.join(torch)} cannot execute")
    source = (bundle.manifest.data or {}).get("name")
    return Subject(name=str(bundle.path), bundle=bundle.path, engines=engines, source=source)


def _of_torch(
    given: Any,
    engines: tuple[str, ...],
    weights: str | os.PathLike[str] | None,
    folder: Path,
    note: Callable[[str], None],
) -> Subject:
    """Return a run or a name; a name without weights gets fresh ones, since time does not depend on them."""
    if isinstance(given, Run) or (isinstance(given, os.PathLike) or Path(str(given)).is_dir()):
        run = open_trained(given)
        assert isinstance(run, Run)  # a folder is a run's
        source = Path(run.info.data.source).name
        return Subject(
            name=str(run.folder), torch=run.folder, weights_path=run.weights_path, source=source, engines=engines
        )
    if not isinstance(given, str):
        raise InputError(f"bench takes bundles, runs and names of networks, not {type(given).__name__}")

    if weights is None:
        from pennyweight.verbs.benching.fresh_weights import write_fresh_weights

        file: Path | str = write_fresh_weights(given, folder / "fresh.safetensors")
        note(
            f"{given} has fresh weights, because none are given: its answers mean nothing, and its times do not change"
        )
    else:
        file = os.fspath(weights)
    path = Path(file)
    return Subject(
        name=given, torch=given, weights=file, weights_path=path if path.is_file() else None, engines=engines
    )
