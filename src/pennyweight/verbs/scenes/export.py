"""`export` for a scene's run: its bundle, proved on the scene."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pennyweight.core.errors import DownloadError, SourceError
from pennyweight.core.machine import versions
from pennyweight.core.run import Run
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.deploy.export_scene import export_scene_bundle
from pennyweight.nn import WindowNetwork
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.scoring.scene import SCORES
from pennyweight.verbs.load import restore
from pennyweight.verbs.scenes.load import projection_of, reopen

__all__ = ["export_scene"]

PROOF_SIDE = 48
"""Pixels a side of the part of the scene, its corner, that the proof maps."""


def export_scene(run: Run, path: Path, note: Callable[[str], None]) -> SceneBundle:
    """Write a scene's network with its scaling and components as one ONNX file, proved to map as the network does.

    The proof is every pixel of a corner of the scene; where the scene is not here, of noise around the mean spectrum,
    and `note` is called with the reason.
    """
    record, evaluation, projection, network = run.record, run.evaluation, projection_of(run), restore(run)
    try:
        cube, of = (
            np.asarray(reopen(run).cube[:PROOF_SIDE, :PROOF_SIDE], np.float32),
            f"a corner of {run.record['data']['source']}",
        )
    except (SourceError, DownloadError) as error:
        note(f"the bundle is proved on a scene made for the proof, because the run's own is not at hand: {error}")
        noise = np.random.default_rng(0).normal(0, 0.1, (PROOF_SIDE, PROOF_SIDE, projection.bands))
        cube, of = (projection.mean * (1 + noise)).astype(np.float32), "a scene made for the proof"
    manifest = SceneManifest(
        network=record["model"],
        labels=tuple(run.labels),
        ids=tuple(record["data"]["ids"]),
        form="tile" if isinstance(network, WindowNetwork) else "windows",
        window=record["scene"]["window"],
        bands=projection.bands,
        evaluation={key: evaluation[key] for key in ("split", "pixels", "leakage", *SCORES)},
        parity={},
        data={"name": record["data"]["source"], "fingerprint": record["data"]["fingerprint"]},
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return export_scene_bundle(network, projection, path, manifest, cube, of=of)
