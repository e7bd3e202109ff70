"""A scene with dead bands is fitted, exported and mapped without an option, and its bands are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pennyweight as pw
from pennyweight.core.errors import InputError
from pennyweight.core.run_record import SceneRecord
from pennyweight.data.scenes.envi import write_envi
from pennyweight.data.scenes.synthetic import synthetic
from pennyweight.verbs.scenes.load import choice_of

DEAD = range(129, 135)


@pytest.mark.parametrize("model", ["spectral_mlp", pytest.param("auto", marks=pytest.mark.slow)])
def test_a_scene_in_the_layout_of_enmap_is_fitted_scored_exported_and_mapped(tmp_path: Path, model: str) -> None:
    made = synthetic(32, 32, 224, 3)
    cube = made.cube.astype(np.int16)
    cube[..., DEAD] = -32768
    write_envi(tmp_path / "tile.img", cube, {"data ignore value": "-32768"})
    np.save(tmp_path / "gt.npy", made.targets + 1)
    run = pw.scene.fit(
        tmp_path / "tile.img",
        model,
        out=tmp_path / "run",
        scene={"labels": str(tmp_path / "gt.npy"), "window": 9},
        recipe={"epochs": 1},
        progress=False,
    )
    assert (run.record["scene"]["bands"], run.record["scene"]["cube_bands"]) == ("1-129,136-224", 224)
    assert any("6 of 224 bands are left out (130-135)" in note for note in run.record["data"]["notes"])
    assert run.evaluation["masked"] == 0
    assert json.loads(json.dumps(pw.scene.evaluate(run).to_dict())) == run.evaluation
    ways = [run]
    if model == "auto":
        ways.append(bundle := pw.scene.export(run))
        assert (str(bundle.manifest.choice), bundle.manifest.bands) == ("1-129,136-224", 218)
    cube[..., 0] = 9  # the network takes the bands of training from another cube, whichever of them are empty there
    cube[..., 140] += 1
    np.save(tmp_path / "other.npy", np.where(cube == -32768, np.nan, cube))
    mapped = [pw.scene.predict(which, tmp_path / "other.npy", map=tmp_path / f"{at}.png")
              for at, which in enumerate(ways)]  # fmt: skip
    assert mapped[0].pixels == mapped[-1].pixels
    assert mapped[0].masked == 0
    kept = np.delete(cube, DEAD, axis=2)
    np.testing.assert_array_equal(
        *(pw.scene.load(ways[-1]).map(values.astype(np.float32)).classes for values in (cube, kept))
    )
    with pytest.raises(InputError, match=r"takes 218 of 224 bands \(1-129,136-224\): a cube has 224 or 218 bands, not"):
        pw.scene.load(ways[-1]).map(cube[..., :100])


def test_a_run_of_an_earlier_version_takes_every_band() -> None:
    assert choice_of(SceneRecord(window=9, options={}), 60).is_whole
