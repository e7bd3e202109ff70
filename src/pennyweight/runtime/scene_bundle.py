"""A scene's bundle: one ONNX file that turns a cube into a map, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY, SceneManifest
from pennyweight.core.seal import broken, sealed
from pennyweight.runtime.agreement import Port, require_agreement
from pennyweight.runtime.engine import NUMBERS, OnnxEngine
from pennyweight.runtime.initializers import require_numbers
from pennyweight.runtime.scene_mapper import SceneEngine, TileEngine, WindowsEngine

__all__ = ["SceneBundle", "scene_engine"]


def scene_engine(session: OnnxEngine, manifest: SceneManifest) -> SceneEngine:
    """What answers for a scene, by the form that the manifest says."""
    kind = TileEngine if manifest.form == "tile" else WindowsEngine
    return kind(session, window=manifest.window, bands=manifest.bands)


@dataclass(frozen=True)
class SceneBundle:
    """A scene's bundle, opened. Raises BundleError when it is damaged, or is no scene's."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        whole = sealed(self.path)
        if SCENE_METADATA_KEY not in self.session.metadata:
            raise BundleError(f"{self.path} is no bundle of a scene; `pennyweight export` makes one of a scene's run")
        said = self.manifest
        if said.sealed and not whole:
            raise broken(self.path)
        pixels, sides = ((said.window, said.window), ("batch",)) if said.form == "windows" else (("H", "W"), ("h", "w"))
        batch = ("batch",) if said.form == "windows" else ()
        answer = Port(NUMBERS, (*sides, len(said.labels)))
        ports = {INPUT: Port(NUMBERS, (*batch, *pixels, said.bands)), PROBABILITIES: answer, LOGITS: answer}
        require_agreement(self.path, self.session.ports, ports)
        require_numbers(self.path)

    def __fspath__(self) -> str:
        """Return the file: a bundle stands wherever its file's name does."""
        return str(self.path)

    @cached_property
    def session(self) -> OnnxEngine:
        return OnnxEngine(self.path)

    @cached_property
    def manifest(self) -> SceneManifest:
        """Labels, form, evaluation and proof."""
        return SceneManifest.from_json(self.session.metadata[SCENE_METADATA_KEY], name=str(self.path))

    @property
    def engine(self) -> SceneEngine:
        """What `map_scene` takes."""
        return scene_engine(self.session, self.manifest)
