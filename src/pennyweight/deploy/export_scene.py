"""Export a scene's network to a bundle: the file appears only after the parity proof on a scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from pennyweight.core.errors import ParityError
from pennyweight.core.files import atomic, clear_left_overs
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY, SceneManifest
from pennyweight.core.seal import seal
from pennyweight.core.spectral import Projection
from pennyweight.deploy.export import to_onnx
from pennyweight.deploy.parity import TOLERANCE
from pennyweight.deploy.scene_graph import SceneGraph, torch_scene_engine
from pennyweight.runtime.onnx_engine import OnnxEngine
from pennyweight.runtime.scene_bundle import SceneBundle, scene_engine
from pennyweight.runtime.scene_mapper import SceneEngine, tiles

__all__ = ["export_scene_bundle"]

PROOF_TILE = 20
"""Side of the proof's tiles in pixels: small, so that the proof has borders of tiles as well as of the scene."""


def export_scene_bundle(
    network: nn.Module, projection: Projection, path: Path, manifest: SceneManifest, cube: NDArray[Any], *, of: str
) -> SceneBundle:
    """Write a scene's network as a bundle, with the result of the parity proof in its manifest.

    Args:
        network: The network.
        projection: Spectral projection that makes its input.
        path: The bundle to write; an existing file is replaced.
        manifest: Labels, form and evaluation; its `parity` is filled in.
        cube: Scene for the proof, (H, W, bands); every pixel is compared.
        of: Description of the scene for the manifest.

    Returns:
        The opened bundle.

    Raises:
        ParityError: The graph's outputs differ from the network's; nothing was written.
    """
    graph = SceneGraph(network, projection).cpu().eval()
    window, bands = manifest.window, manifest.bands
    if manifest.form == "tile":
        # Different sides: the exporter takes equal sides for the same dimension.
        example = torch.zeros(window + 5, window + 8, bands)
        sizes = {axis: torch.export.Dim(name, min=window) for axis, name in enumerate(("height", "width"))}
    else:
        example = torch.zeros(2, window, window, bands)
        sizes = {0: torch.export.Dim("batch", min=1)}
    clear_left_overs(path.absolute().parent, of=path.name)
    with atomic(path) as temporary:
        model = to_onnx(graph, example, sizes).model
        onnx.save(model, temporary)
        expected = torch_scene_engine(network, projection, window=window)
        proof = _prove(expected, scene_engine(OnnxEngine(temporary), manifest), cube, of=of)
        proved = replace(manifest, parity=proof)
        onnx.helper.set_model_props(model, {SCENE_METADATA_KEY: proved.to_json()})
        onnx.save(model, temporary)
        seal(temporary)
    return SceneBundle(path)


def _prove(network: SceneEngine, bundle: SceneEngine, cube: NDArray[Any], *, of: str) -> dict[str, Any]:
    """Compare both engines on every pixel of `cube`, by the same rules as for pictures."""
    probability = logit = lead = 0.0
    same = 0
    for a, b in zip(tiles(network, cube, tile=PROOF_TILE), tiles(bundle, cube, tile=PROOF_TILE), strict=True):
        p, q = a.outputs.probabilities, b.outputs.probabilities
        probability = max(probability, float(np.abs(p - q).max()))
        logit = max(logit, float(np.abs(a.outputs.logits - b.outputs.logits).max()))
        answered = q.argmax(axis=-1)
        lead = max(lead, float((p.max(axis=-1) - np.take_along_axis(p, answered[..., None], -1)[..., 0]).max()))
        same += int((p.argmax(axis=-1) == answered).sum())
    pixels = cube.shape[0] * cube.shape[1]
    if not (probability <= TOLERANCE and lead <= TOLERANCE):
        raise ParityError(
            f"the bundle does not answer as the network: probabilities differ by up to {probability:.1e} (allowed "
            f"{TOLERANCE:.0e}), {same:,} of {pixels:,} pixels have the same class; nothing was written"
        )
    return {
        "pixels": pixels,
        "of": of,
        "largest_probability_difference": probability,
        "largest_logit_difference": logit,
        "same_top1": same,
        "tolerance": TOLERANCE,
    }
