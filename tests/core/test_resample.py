"""Resizing gives the bytes of the width first, then the height, whatever Pillow's version prefers."""

from math import pi, sin

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Resampling

from pennyweight.core.preprocess import Preprocess
from pennyweight.core.resample import resize

FIXED = 1 << 22
"""Weights are whole numbers of this share; the published algorithm of Pillow's 8-bit resampling."""


def sinc(x: float) -> float:
    return sin(pi * x) / (pi * x) if x else 1.0


def bicubic(x: float) -> float:
    return (1.5 * x - 2.5) * x * x + 1 if x < 1 else (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2 else 0.0


KERNELS = {
    Resampling.BILINEAR: (1, lambda x: max(0.0, 1 - x)),
    Resampling.BICUBIC: (2, bicubic),
    Resampling.LANCZOS: (3, lambda x: sinc(x) * sinc(x / 3) if x < 3 else 0.0),
}


def along_rows(pixels: np.ndarray, size: int, start: float, end: float, rule: Resampling) -> np.ndarray:
    """The first axis resampled to `size`, rounded to 8 bits."""
    if (size, start, end) == (len(pixels), 0, len(pixels)):
        return pixels
    reach, kernel = KERNELS[rule]
    scale = float(np.float32(end - start)) / size
    stretch = max(1.0, scale)
    rows = []
    for row in range(size):
        center = start + (row + 0.5) * scale
        first, last = max(0, int(center - reach * stretch + 0.5)), min(len(pixels), int(center + reach * stretch + 0.5))
        weights = np.array([kernel(abs((place - center + 0.5) * (1 / stretch))) for place in range(first, last)])
        whole = np.trunc(weights * (1 / weights.sum()) * FIXED + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
        total = np.tensordot(whole, pixels[first:last].astype(np.int64), axes=1) + FIXED // 2
        rows.append(np.clip(total >> 22, 0, 255))
    return np.stack(rows).astype(np.uint8)


def expected(pixels: np.ndarray, width: int, height: int, rule: Resampling, box: tuple[float, ...]) -> np.ndarray:
    left, top, right, bottom = map(float, np.float32(box))
    narrow = along_rows(pixels.swapaxes(0, 1), width, left, right, rule).swapaxes(0, 1)
    return along_rows(narrow, height, top, bottom, rule)


@pytest.mark.parametrize("rule", KERNELS, ids=lambda rule: rule.name.lower())
@pytest.mark.parametrize(
    ("picture", "size"),
    [((40, 30), (12, 10)), ((90, 20), (9, 9)), ((90, 20), (8, 24)), ((20, 90), (9, 9)), ((60, 25), (60, 7))],
    ids=["near-square", "tall", "height-shrinks-width-grows", "wide", "width-alone"],
)
@pytest.mark.parametrize("part", [False, True], ids=["whole", "part"])
def test_the_width_comes_first(
    picture: tuple[int, int], size: tuple[int, int], rule: Resampling, *, part: bool
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*picture, 3), dtype=np.uint8)
    (height, width), (high, wide) = picture, size
    box = (width * 0.13, height * 0.27, width * 0.87, height * 0.81) if part else (0, 0, width, height)
    found = resize(Image.fromarray(pixels), wide, high, rule, box)
    np.testing.assert_array_equal(np.asarray(found), expected(pixels, wide, high, rule, box))


def test_colors_are_weighed_by_their_opacity_once() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert resize(image, 30, 20, Resampling.BILINEAR).tobytes() == image.tobytes()
    for size in ((9, 9), (40, 5)):
        once = resize(image.convert("RGBa"), *size, Resampling.BILINEAR).convert("RGBA")
        np.testing.assert_array_equal(np.asarray(resize(image, *size, Resampling.BILINEAR)), np.asarray(once))


def test_a_tall_picture_is_preprocessed_alike_by_every_version() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (120, 40, 3), dtype=np.uint8)
    whole = expected(pixels, 16, 48, Resampling.BILINEAR, (0, 0, 40, 120))
    found = Preprocess(size=16, resize=16)(pixels)
    np.testing.assert_array_equal(found, whole[16:32])
