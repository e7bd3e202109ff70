"""Scenes from files of every kind, and what is said of files that are none."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from pennyweight.core.errors import DownloadError, SourceError
from pennyweight.data.scenes.envi import write_envi
from pennyweight.data.scenes.label_maps import open_label_map
from pennyweight.data.scenes.open import SCENES, is_scene, open_scene
from pennyweight.data.scenes.scene import UNLABELED

CUBE = np.random.default_rng(0).integers(0, 4000, (7, 5, 4)).astype(np.int16)
IDS = np.array([[0, 1, 10, 10, 14]] * 7, np.uint8)


def save(path: Path, values: np.ndarray) -> Path:
    """Write (H, W, bands) as the file's ending says."""
    if path.suffix == ".mat":
        savemat(path, {"cube": values})
    elif path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".img":
        write_envi(path, values, {})
    elif path.suffix == ".tif":
        rasterio = pytest.importorskip("rasterio")
        height, width, bands = values.shape
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=bands,
            dtype=values.dtype,
            crs="EPSG:32611",
            transform=rasterio.transform.from_origin(500_000, 4_000_000, 3.7, 3.7),
        ) as file:
            file.write(values.transpose(2, 0, 1))
    else:
        with h5py.File(path, "w", userblock_size=512) as file:  # as MATLAB's v7.3
            file["cube"] = values.T
        path.rename(path.with_suffix(".mat"))
        return path.with_suffix(".mat")
    return path


@pytest.mark.parametrize("name", ["a.mat", "a.npy", "a.img", "a.tif", "a.v73"])
def test_a_cube_is_the_same_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, CUBE)
    savemat(tmp_path / "gt.mat", {"gt": IDS})
    scene = open_scene(path, tmp_path / "gt.mat")
    np.testing.assert_array_equal(scene.cube, CUBE)
    assert scene.bands == 4
    assert scene.labels == ("class 1", "class 10", "class 14")
    assert scene.ids == (1, 10, 14)
    np.testing.assert_array_equal(scene.truth[0], [UNLABELED, 0, 1, 1, 2])
    assert is_scene(path)


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_envi_of_every_interleave_is_mapped_from_disk(tmp_path: Path, interleave: str) -> None:
    axes = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}[interleave]
    (tmp_path / "x.raw").write_bytes(b"head" + np.ascontiguousarray(CUBE.transpose(axes)).astype(">i2").tobytes())
    (tmp_path / "x.hdr").write_text(
        "ENVI\ndescription = {two\n lines}\nsamples = 5\nlines = 7\nbands = 4\nheader offset = 4\n"
        f"data type = 2\ninterleave = {interleave}\nbyte order = 1\nmap info = {{UTM, 1, 1}}\n"
    )
    raster = open_scene(tmp_path / "x.hdr").raster
    np.testing.assert_array_equal(raster.values, CUBE)
    assert isinstance(raster.values.base, np.memmap) or isinstance(raster.values, np.memmap)
    assert raster.place["map info"] == "{UTM, 1, 1}"


def test_npy_is_mapped_from_disk(tmp_path: Path) -> None:
    assert isinstance(open_scene(save(tmp_path / "a.npy", CUBE)).cube, np.memmap)


def test_soft_abundances_go_to_the_largest(tmp_path: Path) -> None:
    soft = np.random.default_rng(0).dirichlet((1, 1, 1), (7, 5)).transpose(2, 0, 1)
    for name, values in (
        ("first", soft),
        ("last", soft.transpose(1, 2, 0)),
        ("flat", soft.transpose(0, 2, 1).reshape(3, 35)),
    ):
        np.save(tmp_path / f"{name}.npy", values)
        targets, ids = open_label_map(tmp_path / f"{name}.npy", shape=(7, 5))
        np.testing.assert_array_equal(targets, soft.argmax(0))
        assert ids == (1, 2, 3)


def test_background_may_be_another_id(tmp_path: Path) -> None:
    np.save(tmp_path / "gt.npy", IDS)
    targets, ids = open_label_map(tmp_path / "gt.npy", background=10)
    assert ids == (0, 1, 14)
    assert (targets == UNLABELED).sum() == 14


def test_pixels_without_numbers_are_masked_and_counted(tmp_path: Path) -> None:
    cube = CUBE.astype(np.float32)
    cube[2, 3, 1] = np.nan
    save(tmp_path / "a.npy", cube)
    np.save(tmp_path / "gt.npy", IDS)
    scene = open_scene(tmp_path / "a.npy", tmp_path / "gt.npy")
    assert scene.masked == 1
    assert scene.truth[2, 3] == UNLABELED


# What cannot be used


def test_several_candidates_are_listed_and_one_can_be_named(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"raw": CUBE, "corrected": CUBE + 1, "n": 3})
    with pytest.raises(SourceError, match=r"several arrays that could be a cube.*raw, corrected; name one: a\.mat#raw"):
        open_scene(tmp_path / "a.mat")
    np.testing.assert_array_equal(open_scene(f"{tmp_path}/a.mat#corrected").cube, CUBE + 1)
    with pytest.raises(SourceError, match="has no 'correct'; did you mean 'corrected'"):
        open_scene(f"{tmp_path}/a.mat#correct")


def test_a_label_map_of_another_size_is_explained(tmp_path: Path) -> None:
    big = np.tile(CUBE, (2, 2, 1))
    save(tmp_path / "a.npy", big)
    np.save(tmp_path / "gt.npy", np.tile(IDS, (2, 3)))
    with pytest.raises(SourceError, match="the label map of a is 14×15, and its cube 14×10"):
        open_scene(tmp_path / "a.npy", tmp_path / "gt.npy")


def test_what_is_no_cube_is_named(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"gt": IDS})
    with pytest.raises(SourceError, match="nothing that could be a cube of height×width×bands; it holds gt 7×5"):
        open_scene(tmp_path / "a.mat")
    (tmp_path / "b.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError, match=r"cannot read .*b\.mat"):
        open_scene(tmp_path / "b.mat")
    (tmp_path / "c.hdr").write_text("ENVI\nlines = 3\n")
    with pytest.raises(SourceError, match="is not a readable header"):
        open_scene(tmp_path / "c.hdr")
    with pytest.raises(SourceError, match="no file"):
        open_scene(tmp_path / "none.npy")
    with pytest.raises(SourceError, match="no scene 'salina-a'; did you mean 'salinas-a'"):
        open_scene("scene:salina-a")


def test_a_scene_that_is_not_here_says_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENNYWEIGHT_DATA", raising=False)
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    with pytest.raises(SourceError, match=r"is missing and cannot be downloaded; put it at .*jasper-ridge"):
        open_scene("scene:jasper-ridge")
    path = tmp_path / "scenes" / "salinas-a" / "SalinasA_corrected.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(DownloadError, match="is not what"):
        open_scene("scene:salinas-a")
    assert path.exists()  # someone put it there, and may want it


def test_a_scene_is_found_on_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_DATA", str(tmp_path))
    (tmp_path / "ground-truth").mkdir()
    (tmp_path / "indian-pines").mkdir()
    savemat(tmp_path / "indian-pines" / SCENES["indian-pines"].cube.name, {"indian_pines_corrected": CUBE})
    savemat(tmp_path / "ground-truth" / SCENES["indian-pines"].labels.name, {"indian_pines_gt": IDS})
    assert open_scene("scene:indian-pines").labels == ("Alfalfa", "Soybean-notill", "Woods")


def test_the_synthetic_scene_says_so_everywhere() -> None:
    scene = open_scene("scene:synthetic")
    assert scene.synthetic
    assert all("synthetic" in label for label in scene.labels)
    assert "synthetic" in scene.notes[0]
    again = open_scene("scene:synthetic")
    assert scene.fingerprint == again.fingerprint
    assert set(np.unique(scene.truth)) == {UNLABELED, *range(len(scene.labels))}


def test_real_scenes_are_read_as_their_publishers_say(real_scenes: Path) -> None:
    scene = open_scene("scene:salinas-a")
    assert (scene.shape, scene.bands) == ((83, 86), 204)
    assert scene.ids == (1, 10, 11, 12, 13, 14)
    assert int((scene.truth >= 0).sum()) == 5348
    ridge = open_scene("scene:jasper-ridge")
    assert (ridge.shape, ridge.bands) == ((100, 100), 198)
    assert np.bincount(ridge.truth.ravel()).tolist() == [3493, 3326, 2428, 753]
    # Column by column: read row by row, the map is as good and the scene in pieces.
    water = ridge.truth == 1
    assert (water[1:] == water[:-1]).mean() > 0.95
    dark = ridge.cube.mean(axis=2)
    assert dark[water].mean() < 0.5 * dark[~water].mean()


def test_envis_ignored_value_is_no_number(tmp_path: Path) -> None:
    cube = CUBE.copy()
    cube[2, 3, 1] = -9999
    write_envi(tmp_path / "cube.img", cube, {"data ignore value": "-9999"})
    scene = open_scene(tmp_path / "cube.img")
    assert scene.masked == 1
    assert not scene.known[2, 3]
    write_envi(tmp_path / "other.img", CUBE, {"data ignore value": "-9999"})
    assert isinstance(open_scene(tmp_path / "other.img").cube.base, np.memmap)
    write_envi(tmp_path / "bad.img", CUBE, {"data ignore value": "none"})
    with pytest.raises(SourceError, match="a data ignore value that is not a number: none"):
        open_scene(tmp_path / "bad.img")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ("{sea, corn, b, c, d, e, f, g, h, i, wheat, j, k, l, oats}", ("corn", "wheat", "oats")),
        ("{sea, corn}", ("class 1", "class 10", "class 14")),
    ],
)
def test_an_envi_map_names_its_classes(tmp_path: Path, names: str, labels: tuple[str, ...]) -> None:
    save(tmp_path / "cube.npy", CUBE)
    write_envi(tmp_path / "gt.img", IDS, {"class names": names})
    assert open_scene(tmp_path / "cube.npy", tmp_path / "gt.img").labels == labels


def test_cube_and_label_map_in_one_file_are_told_apart(tmp_path: Path) -> None:
    savemat(tmp_path / "both.mat", {"cube": CUBE, "gt": IDS})
    scene = open_scene(tmp_path / "both.mat", tmp_path / "both.mat")
    assert scene.ids == (1, 10, 14)


def test_a_file_that_only_ends_so_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.npy").touch()
    (tmp_path / "text.npy").write_text("no numbers")
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    for name, reason in (("empty", "cannot read"), ("text", "cannot read"), ("words", "holds no array of numbers")):
        with pytest.raises(SourceError, match=reason):
            open_scene(tmp_path / f"{name}.npy")
