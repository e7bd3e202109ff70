"""Maps can be read: every class's colour and name are there, and colours stay apart for every kind of colour vision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from pennyweight.report import maps, palette

# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
VISION = {
    "common": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)


def lab(colours: np.ndarray, vision: object) -> np.ndarray:
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(vision).T, 0, 1) @ TO_XYZ.T / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


@pytest.mark.parametrize("vision", VISION)
def test_sixteen_colours_and_the_paper_stay_apart(vision: str) -> None:
    seen = lab(np.array([*palette.CLASSES, palette.MASKED], float), VISION[vision])
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert len(palette.CLASSES) == 16
    assert nearest > (25 if vision == "common" else 20)  # 2 is the least that people notice side by side


def pixels(picture: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in picture.getcolors(1 << 20)}


def test_every_class_is_on_the_map_and_in_the_legend() -> None:
    classes = np.repeat(np.arange(16).reshape(4, 4), 10, axis=0).repeat(10, axis=1)
    labels = [f"class {number}" for number in range(16)]
    picture = maps.class_map(classes, labels).sheet("t")
    assert set(palette.CLASSES) <= pixels(picture)
    # A pixel in each cell's corner, where no number is written.
    scale = maps.LONGER_SIDE // 40
    top = 2 * maps.MARGIN + maps.FONT
    for row, col in itertools.product(range(4), range(4)):
        place = (maps.MARGIN + col * 10 * scale + 2, top + row * 10 * scale + 2)
        assert picture.getpixel(place) == palette.CLASSES[4 * row + col]
    longer = maps.class_map(classes, [*labels[:-1], "a name that is much longer than all of the others"]).sheet("t")
    assert longer.width > picture.width


def test_large_regions_carry_their_number_and_specks_do_not() -> None:
    large = np.zeros((40, 40), int)
    speck = large.copy()
    speck[5, 5] = 1
    quiet = maps.class_map(np.full((40, 40), -1), ["a", "b"]).picture
    assert pixels(quiet) == {palette.MASKED}
    assert len(pixels(maps.class_map(large, ["a", "b"]).picture)) > 1
    scale = maps.LONGER_SIDE // 40
    around = maps.class_map(speck, ["a", "b"]).picture.crop((5 * scale, 5 * scale, 6 * scale, 6 * scale))
    assert pixels(around) == {palette.CLASSES[1]}


def test_errors_tell_right_wrong_and_unknown() -> None:
    picture = maps.error_map(np.array([[0, 1, 1]]), np.array([[0, 0, -1]])).sheet("t")
    scale = maps.LONGER_SIDE // 3
    found = [picture.getpixel((maps.MARGIN + scale * number + 5, 50)) for number in range(3)]
    assert found == [palette.RIGHT, palette.WRONG, palette.UNKNOWN]


def test_more_sure_is_lighter() -> None:
    picture = maps.confidence_map(np.linspace(0.1, 1, 8, dtype=np.float32)[None]).sheet("t").convert("L")
    scale = maps.LONGER_SIDE // 8
    levels = [picture.getpixel((maps.MARGIN + scale * number + 5, 50)) for number in range(8)]
    assert levels == sorted(levels)
    assert len(set(levels)) == 8


def test_a_large_scene_is_thinned_out() -> None:
    picture = maps.class_map(np.zeros((3 * maps.LARGEST, 10), np.uint8), ["a", "b"]).sheet("t")
    assert picture.height < maps.LARGEST + 200


def test_a_pixel_without_an_answer_is_not_called_unsure() -> None:
    sure = np.full((4, 4), 0.5, np.float32)
    plain = np.asarray(maps.confidence_map(sure).sheet("t"))
    sure[1, 1] = 0
    masked = np.asarray(maps.confidence_map(sure).sheet("t"))
    grey = [(picture == palette.UNKNOWN).all(axis=-1).sum() for picture in (plain, masked)]
    assert grey[1] - grey[0] > 160 * 160  # the pixel, which is enlarged, and its sign in the legend
