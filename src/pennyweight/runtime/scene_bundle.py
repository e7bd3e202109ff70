"""Bundle of a scene: one ONNX file that turns a hyperspectral cube into a map of classes, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY, SceneManifest
from pennyweight.core.seal import broken, sealed
from pennyweight.core.summary import Facts, Summary
from pennyweight.runtime.agreement import Port, require_agreement
from pennyweight.runtime.engine import NUMBERS, OnnxEngine
from pennyweight.runtime.initializers import require_numbers
from pennyweight.runtime.scene_mapper import SceneEngine, TileEngine, WindowsEngine

__all__ = ["SceneBundle", "scene_engine"]


def scene_engine(session: OnnxEngine, manifest: SceneManifest) -> SceneEngine:
    """Return the engine for the manifest's form, tile or windows, on an open session."""
    kind = TileEngine if manifest.form == "tile" else WindowsEngine
    return kind(session, window=manifest.window, bands=manifest.bands)


@dataclass(frozen=True, repr=False)
class SceneBundle(Summary):
    """Opened bundle of a scene. Raises BundleError if it is damaged, or is not of a scene."""

    path: Path
    """The ONNX file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        whole = sealed(self.path)
        if SCENE_METADATA_KEY not in self.session.metadata:
            raise BundleError(f"{self.path} is no bundle of a scene; `pennyweight scene export` makes one of a run")
        manifest = self.manifest
        if manifest.sealed and not whole:
            raise broken(self.path)
        windows, window = manifest.form == "windows", manifest.window
        pixels, sides = ((window, window), ("batch",)) if windows else (("H", "W"), ("h", "w"))
        batch = ("batch",) if windows else ()
        output = Port(NUMBERS, (*sides, len(manifest.labels)))
        ports = {INPUT: Port(NUMBERS, (*batch, *pixels, manifest.bands)), PROBABILITIES: output, LOGITS: output}
        require_agreement(self.path, self.session.ports, ports)
        require_numbers(self.path)

    def _facts(self) -> Facts:
        yield "file", str(self.path)
        yield from self.manifest._facts()

    def __fspath__(self) -> str:
        """Return the file's path, so that a bundle can be used as a path."""
        return str(self.path)

    @cached_property
    def session(self) -> OnnxEngine:
        """Engine that executes the graph on one tile or one batch of windows."""
        return OnnxEngine(self.path)

    @cached_property
    def manifest(self) -> SceneManifest:
        """Labels, form, evaluation and proof."""
        return SceneManifest.from_json(self.session.metadata[SCENE_METADATA_KEY], name=str(self.path))

    @property
    def engine(self) -> SceneEngine:
        """Engine for `map_scene`."""
        return scene_engine(self.session, self.manifest)
