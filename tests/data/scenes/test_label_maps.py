"""Label maps: abundances, the cube that is none, unlabeled ids, turned axes, and headers as they are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pennyweight.core.errors import SourceError
from pennyweight.data.scenes.envi import write_envi
from pennyweight.data.scenes.label_maps import open_label_map, read_label_map
from pennyweight.data.scenes.open import is_scene, open_scene
from pennyweight.data.scenes.scene import UNLABELED

CUBE = np.random.default_rng(0).integers(1, 4000, (12, 10, 80)).astype(np.int16)
IDS = np.kron([[1, 2], [3, 0]], np.ones((6, 5), np.uint8))


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    np.save(tmp_path / "cube.npy", CUBE)
    return tmp_path / "cube.npy"


def test_a_pixel_without_any_abundance_is_unlabeled(tmp_path: Path) -> None:
    soft = np.random.default_rng(0).dirichlet((1, 1, 1), (12, 10))
    soft[2, 3] = 0
    soft[4, 4] = np.nan
    for unit in (1, 100):
        np.save(tmp_path / "a.npy", soft * unit)
        found = read_label_map(tmp_path / "a.npy", shape=(12, 10))
        assert (found.targets == UNLABELED).sum() == 2
        assert found.targets[2, 3] == found.targets[4, 4] == UNLABELED
        assert found.notes == ("2 pixels without any abundance are unlabeled",)
        np.testing.assert_array_equal(open_label_map(tmp_path / "a.npy")[0], found.targets)  # without the shape, too


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (CUBE[..., :4] / 4000, "a pixel's sum is .* sum to about 1 in a labeled pixel"),
        (np.stack([IDS * 0 + 1.5, IDS * 0 - 0.5], -1), "its values are -0.5 and more"),
        (CUBE, "it has 80 layers, and abundances have at most 64"),
        (np.zeros((12, 10, 3)), "no pixel is labeled"),
    ],
)
def test_what_is_no_map_of_abundances_is_refused(tmp_path: Path, cube: Path, values: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(SourceError, match=message):
        open_scene(cube, tmp_path / "a.npy")


def test_the_cube_is_never_its_own_label_map(tmp_path: Path, cube: Path) -> None:
    with pytest.raises(SourceError, match=r"cube\.npy is the cube itself, and no label map"):
        open_scene(cube, cube)
    write_envi(tmp_path / "e.img", CUBE, {})
    with pytest.raises(SourceError, match=r"e\.hdr is the cube itself"):
        open_scene(tmp_path / "e.img", tmp_path / "e.hdr")
    few = np.random.default_rng(0).dirichlet(np.ones(5), (12, 10))  # sums to 1, as abundances do
    savemat(tmp_path / "m.mat", {"few": few})
    with pytest.raises(SourceError, match=r"m\.mat holds nothing that could be a label map"):
        open_scene(tmp_path / "m.mat", tmp_path / "m.mat")
    with pytest.raises(SourceError, match=r"m\.mat#few is the cube itself"):
        open_scene(tmp_path / "m.mat", f"{tmp_path / 'm.mat'}#few")
    savemat(tmp_path / "both.mat", {"few": few, "gt": IDS})
    assert open_scene(f"{tmp_path / 'both.mat'}#few", tmp_path / "both.mat").ids == (1, 2, 3)


def test_candidates_are_named_likeliest_first(tmp_path: Path, cube: Path) -> None:
    arrays = {"a": IDS.astype(float), "z_gt": IDS, "layers": np.ones((12, 10, 3)), "image": CUBE}
    savemat(tmp_path / "m.mat", arrays)
    with pytest.raises(SourceError, match=r"could be a label map: z_gt, a, layers; name one: m\.mat#z_gt"):
        open_scene(cube, tmp_path / "m.mat")


def test_class_0_vanishes_only_with_a_note(tmp_path: Path, cube: Path) -> None:
    np.save(tmp_path / "gt.npy", IDS)
    assert (
        "the id 0 of 30 pixels means unlabeled (--background -1 makes it a class)"
        in open_scene(cube, tmp_path / "gt.npy").notes
    )
    kept = open_scene(cube, tmp_path / "gt.npy", background=-1)
    assert kept.ids == (0, 1, 2, 3)
    assert not any("means unlabeled" in note for note in kept.notes)
    with pytest.raises(SourceError, match=r"4 class names for 3 classes .*; --background -1 makes 0 a class"):
        open_scene(cube, tmp_path / "gt.npy", names=["a", "b", "c", "d"])
    np.save(tmp_path / "two.npy", IDS > 1)
    with pytest.raises(SourceError, match=r"has 1 classes besides the background 0.*; --background -1 makes 0 a class"):
        open_scene(cube, tmp_path / "two.npy")


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (lambda cube: cube.transpose(1, 0, 2), "the axes of one look turned"),
        (lambda cube: cube.transpose(2, 0, 1), "look turned, 80 bands first: move the first axis to the end"),
        (lambda cube: cube.T, "look reversed, 80 bands first: transpose it"),
    ],
)
def test_axes_that_look_turned_are_named(tmp_path: Path, turn: object, message: str) -> None:
    np.save(tmp_path / "c.npy", turn(CUBE))  # type: ignore[operator]
    np.save(tmp_path / "gt.npy", IDS)
    with pytest.raises(SourceError, match=message):
        open_scene(tmp_path / "c.npy", tmp_path / "gt.npy")


HEADER = """ENVI
; written by hand
description = {a scene; with a semicolon}
samples = {10} ; the width
lines = 12
bands = 80
header offset =
data type = 2
interleave = BIP
byte order =
data ignore value = {-9999}
bbl = {
; two of them
 %s}
"""


@pytest.mark.parametrize(
    ("raw", "header"),
    [("c.IMG", "c.HDR"), ("c.rfl", "c.hdr"), ("c.rfl", "c.rfl.hdr"), ("c", "c.hdr"), ("c_v1.2_img", "c_v1.2_img.hdr")],
)
def test_envi_as_it_is_found(tmp_path: Path, raw: str, header: str) -> None:
    (tmp_path / raw).write_bytes(CUBE.tobytes())
    marks = ", ".join("0" if number < 2 else "1" for number in range(80))
    (tmp_path / header).write_text(HEADER % marks, encoding="utf-8-sig")
    assert is_scene(tmp_path / raw)
    for file in (raw, header):
        scene = open_scene(tmp_path / file)
        np.testing.assert_array_equal(scene.cube, CUBE[..., 2:])
        assert str(scene.choice) == "3-80"
        assert scene.raster.ignored == -9999


@pytest.mark.parametrize("line", ["samples = -10", "lines = 0", "header offset = -4", "byte order = -1", "bands = {}"])
def test_a_size_that_cannot_be_is_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "c.img").write_bytes(CUBE.tobytes())
    (tmp_path / "c.hdr").write_text(HEADER % "1" + line)
    with pytest.raises(SourceError, match=r"c\.hdr is not a readable header"):
        open_scene(tmp_path / "c.hdr")
