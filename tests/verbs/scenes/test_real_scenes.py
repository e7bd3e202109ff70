"""What the default network learns of SalinasA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.runtime import Outputs
from pennyweight.runtime.scene_mapper import WindowsEngine, tiles
from pennyweight.verbs.load import restore
from pennyweight.verbs.scenes.fit import fit as fit_scene
from pennyweight.verbs.scenes.load import load as load_mapper
from pennyweight.verbs.scenes.load import projection_of
from pennyweight.verbs.scenes.predict import predict as predict_scene


@pytest.mark.slow
def test_salinas_a_in_the_papers_split(real_scenes: Path, tmp_path: Path) -> None:
    """The quick part of it: a smaller window, few epochs."""
    scene = open_scene("scene:salinas-a")
    assert isinstance(scene, Scene)
    made = fit_scene(
        scene,
        "window_cnn",
        out=tmp_path / "run",
        scene={"train": 0.1, "window": 9},
        recipe={"epochs": 6},
        progress=False,
    )
    assert made.evaluation["overall_accuracy"] > 0.9
    with Image.open(predict_scene(made, scene, map=tmp_path / "map.png").files[0]) as picture:
        assert picture.width > 600


@pytest.mark.slow
def test_salinas_a_is_learned_from_a_tenth_of_its_pixels(real_scenes: Path, tmp_path: Path) -> None:
    made = fit_scene(
        "scene:salinas-a", out=tmp_path / "run", scene={"train": 0.1}, recipe={"epochs": 10}, progress=False
    )
    assert made.evaluation["overall_accuracy"] >= 0.99
    assert made.evaluation["leakage"]["share"] == 1
    # Each pixel of a strip from border to border: the convolutional form against its window by itself.
    scene, network, projection = open_scene("scene:salinas-a"), restore(made), projection_of(made)

    @torch.inference_mode()
    def one_by_one(windows: np.ndarray) -> Outputs:
        logits = network(torch.from_numpy(projection(windows)).permute(0, 3, 1, 2))
        return Outputs(logits.softmax(1).numpy(), logits.numpy())

    single = WindowsEngine(one_by_one, window=25, bands=scene.bands)
    strip = scene.cube[-26:]
    pairs = zip(tiles(load_mapper(made).engine, strip), tiles(single, strip), strict=True)
    differences = [float(np.abs(a.outputs.logits - b.outputs.logits).max()) for a, b in pairs]
    assert max(differences) <= 1e-4
