"""Bands of a cube: the empty, the bad, the chosen, and the pixels that are masked in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pennyweight.core.band_choice import BandChoice, spell_bands
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.scenes.bands import EVERY
from pennyweight.data.scenes.envi import write_envi
from pennyweight.data.scenes.open import open_scene

CUBE = np.random.default_rng(0).integers(1, 4000, (40, 30, 6)).astype(np.int16)


def envi(path: Path, values: np.ndarray, **fields: str) -> Path:
    write_envi(path, values, {name.replace("_", " "): value for name, value in fields.items()})
    return path


@pytest.mark.parametrize("text", ["1-129,136-224", "1,3,5", "2", "4-6"])
def test_a_list_of_bands_is_read_as_it_is_written(text: str) -> None:
    choice = BandChoice.parse(text, 224)
    assert str(choice) == text == spell_bands(choice.numbers)
    cube = np.arange(448).reshape(1, 2, 224)
    np.testing.assert_array_equal(choice.take(cube), cube[..., list(choice.numbers)])
    np.testing.assert_array_equal(choice.take(choice.take(cube)), choice.take(cube))


@pytest.mark.parametrize("text", ["", "a", "3-1", "0-4", "1-225", "1--3", "1,,2", "-1"])
def test_what_is_no_list_of_bands_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"--bands {text}"):
        BandChoice.parse(text, 224)


@pytest.mark.parametrize("ignored", [-32768, 0])
def test_a_band_that_is_empty_nearly_everywhere_is_left_out(tmp_path: Path, ignored: int) -> None:
    cube = CUBE.copy()
    cube[..., 2] = ignored
    cube[5, 5, 2] = 7
    cube[..., 5] = ignored
    cube[:10] = ignored  # beyond the edge of the swath
    cube[20, 20] = ignored
    scene = open_scene(envi(tmp_path / "c.img", cube, data_ignore_value=str(ignored)))
    assert str(scene.choice) == "1-2,4-5"
    assert scene.masked == 301
    np.testing.assert_array_equal(scene.cube[15], cube[15][:, [0, 1, 3, 4]])
    assert "2 of 6 bands are left out (3,6): they have no numbers" in scene.notes


def test_nan_bands_are_left_out_of_an_array(tmp_path: Path) -> None:
    cube = CUBE.astype(np.float32)
    cube[..., 1] = np.nan
    cube[3, 3, 4] = np.inf
    np.save(tmp_path / "c.npy", cube)
    scene = open_scene(tmp_path / "c.npy")
    assert (str(scene.choice), scene.masked) == ("1,3-6", 1)


def test_a_dark_pixel_keeps_its_measured_zero(tmp_path: Path) -> None:
    cube = CUBE.copy()
    cube[7, 7, 1] = 0
    cube[8, 8] = 0
    scene = open_scene(envi(tmp_path / "c.img", cube, data_ignore_value="0"))
    assert scene.known[7, 7]
    assert not scene.known[8, 8]
    assert scene.masked == 1
    assert "1 pixels hold the ignored value 0 in some bands but not in all, and are kept" in scene.notes
    old = open_scene(tmp_path / "c.img", bands=EVERY)  # a run of an earlier version opens what it was trained on
    assert old.masked == 2
    assert np.isnan(old.cube[7, 7]).all()


def test_bad_bands_of_a_header_are_left_out_unless_a_user_chooses(tmp_path: Path) -> None:
    path = envi(tmp_path / "c.img", CUBE, bbl="{1, 0, 1,\n 1, 0, 1}")
    assert str(open_scene(path).choice) == "1,3-4,6"
    assert str(open_scene(path, bands="1-3").choice) == "1-3"
    for marks, reason in (("{1, 0}", "2 values for 6"), ("{0,0,0,0,0,0}", "every band"), ("{a}", "more than numbers")):
        scene = open_scene(envi(tmp_path / "d.img", CUBE, bbl=marks))
        assert scene.choice.is_whole
        assert any("(bbl) is not used" in note and reason in note for note in scene.notes)


def test_a_geotiff_marks_bad_bands_and_no_data(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    cube = CUBE.copy()
    cube[..., 0] = -32768
    shape = {"height": 40, "width": 30, "count": 6, "dtype": "int16", "nodata": -32768}
    place = {"crs": "EPSG:32611", "transform": rasterio.transform.from_origin(0, 0, 30, 30)}
    with rasterio.open(tmp_path / "c.tif", "w", driver="GTiff", **shape, **place) as file:
        file.write(cube.transpose(2, 0, 1))
        file.update_tags(ns="ENVI", bbl="{1,1,1,1,1,0}")
    scene = open_scene(tmp_path / "c.tif")
    assert (str(scene.choice), scene.masked) == ("2-5", 0)


def test_a_band_with_gaps_is_named_and_a_chosen_empty_one_refused(tmp_path: Path) -> None:
    cube = CUBE.astype(np.float32)
    cube[:20, :, 3] = np.nan
    cube[..., 4] = np.nan
    np.save(tmp_path / "c.npy", cube)
    scene = open_scene(tmp_path / "c.npy")
    assert any("band 4 has no number in 50.0% of the pixels" in note for note in scene.notes)
    assert scene.masked == 600
    with pytest.raises(SourceError, match="c has no number in band 5, which was chosen; its other bands are 1-4,6"):
        open_scene(tmp_path / "c.npy", bands="1-5")
    with pytest.raises(InputError, match="--bands 4-9: 4-9 is not among the bands 1-6"):
        open_scene(tmp_path / "c.npy", bands="4-9")
