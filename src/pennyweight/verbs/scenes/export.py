"""Export a scene's run as a bundle, proved on the scene."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from pennyweight.core.errors import DownloadError, SourceError
from pennyweight.core.machine import versions
from pennyweight.core.run import Run
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.deploy.export_scene import export_scene_bundle
from pennyweight.nn import WindowNetwork
from pennyweight.runtime.scene_bundle import SceneBundle
from pennyweight.scoring.scene import SCORES
from pennyweight.verbs.bundle_path import bundle_path
from pennyweight.verbs.load import restore
from pennyweight.verbs.scenes.load import choice_of, open_scene_run, projection_of, reopen

__all__ = ["export"]

PROOF_SIDE = 48
"""Pixels a side of the corner of the scene that the proof maps."""


def export(
    run: str | os.PathLike[str] | Run,
    out: str | os.PathLike[str] | None = None,
    *,
    note: Callable[[str], None] = lambda line: None,
) -> SceneBundle:
    """Write a scene's network with its scaling and components as one ONNX file, proved to map as the network does.

    The proof maps every pixel of a corner of the scene; where the scene is not here, noise around the mean spectrum.

    Args:
        run: Folder that `pw.scene.fit` made, or its Run.
        out: New file to write; by default the run's model.onnx, which is replaced.
        note: Callback that is given a line where the proof has to do without the scene.

    Returns:
        The bundle, opened; `pw.scene.predict` and `pw.scene.load` take it.

    Raises:
        InputError: `run` is no run of a scene.
        BundleError: `out` exists already, or its folder does not exist.
        ParityError: The file does not map as the network does; nothing is written.
    """
    run = open_scene_run(run, "export")
    path = bundle_path(run, out)
    record, evaluation, projection, network = run.info, run.evaluation, projection_of(run), restore(run)
    try:
        cube = np.asarray(reopen(run).cube[:PROOF_SIDE, :PROOF_SIDE], np.float32)
        of = f"a corner of {record.data.source}"
    except (SourceError, DownloadError) as error:
        note(f"the bundle is proved on a scene made for the proof, because the run's own is not at hand: {error}")
        noise = np.random.default_rng(0).normal(0, 0.1, (PROOF_SIDE, PROOF_SIDE, projection.bands))
        cube, of = (projection.mean * (1 + noise)).astype(np.float32), "a scene made for the proof"
    choice = choice_of(record.of_scene, projection.bands)
    manifest = SceneManifest(
        network=dict(record.model),
        labels=tuple(run.labels),
        ids=tuple(record.data.ids or ()),
        form="tile" if isinstance(network, WindowNetwork) else "windows",
        window=record.of_scene.window,
        bands=projection.bands,
        evaluation={key: evaluation[key] for key in ("split", "pixels", "leakage", *SCORES)},
        parity={},
        data={
            "name": record.data.source,
            "fingerprint": record.data.fingerprint,
            "cube_fingerprint": record.of_scene.cube_fingerprint,
        },
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        chosen_bands=None if choice.is_whole else str(choice),
        cube_bands=None if choice.is_whole else choice.total,
    )
    return export_scene_bundle(network, projection, path, manifest, cube, of=of)
