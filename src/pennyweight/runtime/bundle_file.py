"""Open the file of a bundle, of pictures or of a scene: whole, of the right kind, and as its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pennyweight.core.seal import broken, sealed
from pennyweight.core.summary import Facts, Summary
from pennyweight.runtime.agreement import Port, require_agreement
from pennyweight.runtime.engine import EngineChoice
from pennyweight.runtime.file_engine import FileEngine
from pennyweight.runtime.safe_graph import require_numbers, require_safe

__all__ = ["BundleFile"]


@dataclass(frozen=True, repr=False)
class BundleFile(Summary):
    """Opened bundle file. A subclass checks its kind, and has the manifest and the graph's inputs and outputs."""

    path: Path
    """The ONNX file."""
    using: EngineChoice = field(default_factory=EngineChoice)
    """Engine that opens and executes the graph."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        whole = sealed(self.path)  # before an engine reads what may be damaged
        require_safe(self.path)
        require_numbers(self.path)  # before an engine holds the weights too
        self._require_kind(self.session.metadata)
        if self.manifest.sealed and not whole:
            raise broken(self.path)
        require_agreement(self.path, self.session.ports, self._ports())

    def __fspath__(self) -> str:
        """Return the file's path, so that a bundle can be used as a path."""
        return str(self.path)

    @cached_property
    def session(self) -> FileEngine:
        """Engine that executes the graph once."""
        return self.using.open(self.path)

    @property
    def manifest(self) -> Any:
        """Labels, evaluation and proof."""
        raise NotImplementedError

    def _require_kind(self, metadata: Mapping[str, str]) -> None:
        """Raise BundleError for a file of another kind."""
        raise NotImplementedError

    def _ports(self) -> Mapping[str, Port]:
        """Return the inputs and outputs that the manifest promises, by name."""
        raise NotImplementedError

    def _facts(self) -> Facts:
        yield "file", str(self.path)
        yield from self.manifest._facts()
