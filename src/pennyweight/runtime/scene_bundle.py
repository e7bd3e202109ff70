"""Bundle of a scene: one ONNX file that turns a hyperspectral cube into a map of classes, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY, SceneManifest
from pennyweight.runtime.agreement import Port
from pennyweight.runtime.bundle_file import BundleFile
from pennyweight.runtime.file_engine import NUMBERS, FileEngine
from pennyweight.runtime.scene_mapper import SceneEngine, TileEngine, WindowsEngine

__all__ = ["SceneBundle", "scene_engine"]


def scene_engine(session: FileEngine, manifest: SceneManifest) -> SceneEngine:
    """Return the engine for the manifest's form, tile or windows, on an open session."""
    kind = TileEngine if manifest.form == "tile" else WindowsEngine
    return kind(session, window=manifest.window, bands=manifest.bands)


class SceneBundle(BundleFile):
    """Opened bundle of a scene. Raises BundleError if it is damaged, or is not of a scene."""

    def _require_kind(self, metadata: Mapping[str, str]) -> None:
        if SCENE_METADATA_KEY not in metadata:
            raise BundleError(f"{self.path} is no bundle of a scene; `pennyweight scene export` makes one of a run")

    def _ports(self) -> Mapping[str, Port]:
        manifest = self.manifest
        windows, window = manifest.form == "windows", manifest.window
        pixels, sides = ((window, window), ("batch",)) if windows else (("H", "W"), ("h", "w"))
        batch = ("batch",) if windows else ()
        output = Port(NUMBERS, (*sides, len(manifest.labels)))
        return {INPUT: Port(NUMBERS, (*batch, *pixels, manifest.bands)), PROBABILITIES: output, LOGITS: output}

    @cached_property
    def manifest(self) -> SceneManifest:
        """Labels, form, evaluation and proof."""
        return SceneManifest.from_json(self.session.metadata[SCENE_METADATA_KEY], name=str(self.path))

    @property
    def engine(self) -> SceneEngine:
        """Engine for `map_scene`."""
        return scene_engine(self.session, self.manifest)
