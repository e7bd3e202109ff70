"""Frames: rectangles, whole pictures with a border, and stretched pictures, down to the pixel."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight.core.errors import InputError
from pennyweight.core.frame import as_size, cover, fit_within, side_of
from pennyweight.core.images import header
from pennyweight.core.preprocess import Preprocess

WIDE = (96, 384)
SHAPES = [(1, 1), (7, 5), (96, 384), (48, 192), (100, 400), (96, 400), (400, 96), (300, 300), (33, 65), (9, 500)]


def scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize the width first: Pillow 13 alone begins with the height of tall pictures."""
    return picture.resize((size[0], picture.height), Image.Resampling.BILINEAR).resize(size, Image.Resampling.BILINEAR)


def documented(picture: Image.Image, size: tuple[int, int], frame: str, fill: tuple[int, ...]) -> np.ndarray:
    """Follow the steps of the documentation, with Pillow alone."""
    height, width = size
    across, down = picture.size
    if frame == "stretch":
        return np.asarray(scaled(picture, (width, height)))
    wider = across * height >= down * width
    if frame == "pad":
        new = (width, max(1, width * down // across)) if wider else (max(1, height * across // down), height)
        canvas = Image.new("RGB", (width, height), fill)
        left, top = (width - new[0]) // 2, (height - new[1]) // 2
        canvas.paste(scaled(picture, new), (left, top))
        return np.asarray(canvas)
    new = (height * across // down, height) if wider else (width, width * down // across)
    left, top = round((new[0] - width) / 2), round((new[1] - height) / 2)
    whole = scaled(picture, new)
    return np.asarray(whole.crop((left, top, left + width, top + height)))


@pytest.mark.parametrize("frame", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [WIDE, (64, 40), (50, 50)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_a_picture_is_fitted_as_documented(noise, shape: tuple[int, int], size: Any, frame: Any) -> None:
    pixels = noise(*shape)
    preprocess = Preprocess.for_input(size, frame=frame, crop_share=1.0)
    seen = preprocess(pixels)
    assert seen.shape == (*size, 3)
    expected = documented(Image.fromarray(pixels), size, frame, (124, 116, 104))
    ratio = shape[1] * size[0] / (shape[0] * size[1])
    if frame == "crop" and not 1 / 8 <= ratio <= 8:  # only the middle is resized
        assert np.abs(seen.astype(int) - expected).max() <= 1
    else:
        assert np.array_equal(seen, expected)


def test_a_padded_picture_is_whole_and_centered() -> None:
    pixels = np.full((20, 40, 3), 200, np.uint8)
    seen = Preprocess(size=(31, 40), resize=(31, 40), frame="pad", mean=(0.0, 0.5, 1.0))(pixels)
    assert (seen[5:25] == 200).all()  # 11 rows are left: 5 above, 6 below
    assert (seen[:5] == (0, 128, 255)).all()
    assert (seen[25:] == (0, 128, 255)).all()


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("frame", ["crop", "pad", "stretch"])
def test_every_number_of_channels(channels: int, frame: Any) -> None:
    shape = (30, 50) if channels == 1 else (30, 50, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    preprocess = Preprocess.for_input((16, 40), channels=channels, frame=frame)
    seen = preprocess(pixels)
    assert seen.shape == (16, 40, channels)
    if frame == "pad":
        assert tuple(seen[0, 0]) == preprocess.fill


def test_an_all_black_mean_and_one_beyond_white_fill_with_bytes() -> None:
    assert Preprocess(size=4, resize=4, frame="pad", mean=(-0.5, 2.0, 0.5)).fill == (0, 255, 128)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("frame", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("decoding", ["full", "draft"])
def test_orientation_comes_before_the_frame(noise, orientation: int, frame: Any, decoding: Any) -> None:
    """A picture stored on its side is fitted, and its JPEG decoded at a scale, as it is seen."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    on_side = orientation in (6, 8)
    upright = Image.fromarray(noise(200, 800))
    turned = {1: 0, 3: 180, 6: 90, 8: 270}[orientation]
    upright.rotate(turned, expand=True).save(file, "JPEG", quality=95, exif=exif)
    found = header(file.getvalue())
    assert (found.height, found.width) == ((800, 200) if on_side else (200, 800))
    assert found.upright == (200, 800)
    preprocess = Preprocess.for_input((48, 192), frame=frame, decoding=decoding)
    seen = preprocess(file.getvalue())
    plain = io.BytesIO()
    upright.save(plain, "JPEG", quality=95)
    assert np.abs(seen.astype(int) - preprocess(plain.getvalue())).mean() < 3


@pytest.mark.parametrize(
    ("frame", "shape", "size", "scale"),
    [
        ("crop", (400, 1600), (100, 400), 4),
        ("crop", (400, 1599), (100, 400), 2),  # the width must be covered, too
        ("pad", (400, 1600), (200, 200), 8),  # the width alone decides
        ("pad", (1600, 400), (200, 200), 8),
        ("stretch", (400, 1600), (200, 200), 2),
        ("stretch", (800, 800), (100, 400), 2),
    ],
)
def test_a_jpeg_is_decoded_as_small_as_its_frame_allows(
    noise, frame: Any, shape: tuple[int, int], size: Any, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = io.BytesIO(), []
    Image.fromarray(noise(*shape)).save(file, "JPEG")
    draft = Image.Image.draft
    from PIL import JpegImagePlugin

    def noting(self: Any, mode: Any, size: Any) -> Any:
        asked.append(size)
        return draft_of_jpeg(self, mode, size)

    draft_of_jpeg = JpegImagePlugin.JpegImageFile.draft
    assert draft is not draft_of_jpeg
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", noting)
    Preprocess.for_input(size, frame=frame, decoding="draft")(file.getvalue())
    assert asked == [(shape[1] // scale, shape[0] // scale)]


def test_squares_of_a_pair_are_squares() -> None:
    one, other = Preprocess.for_input(224), Preprocess.for_input((224, 224))
    assert one == other
    assert one.to_dict() == other.to_dict()
    assert one.pixels_key == other.pixels_key == "224/256 bilinear 3 full"  # of the kept pictures of earlier versions
    assert "frame" not in one.to_dict()


@pytest.mark.parametrize(
    "preprocess",
    [Preprocess.for_input(WIDE), Preprocess.for_input(64, frame="pad"), Preprocess.for_input(WIDE, frame="stretch")],
)
def test_comes_back_from_json(preprocess: Preprocess) -> None:
    again = Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict())))
    assert again == preprocess
    assert hash(again) == hash(preprocess)
    assert again.shape == preprocess.shape


def test_kept_pictures_of_other_frames_differ() -> None:
    keys = {Preprocess.for_input(size, frame=frame).pixels_key for size in (64, (32, 128)) for frame in FRAMES}
    assert len(keys) == 2 * len(FRAMES)
    padded = Preprocess.for_input(64, frame="pad")
    other = Preprocess(size=64, resize=64, frame="pad", mean=(0.5, 0.5, 0.5))
    assert padded.pixels_key != other.pixels_key


FRAMES: tuple[Any, ...] = ("crop", "pad", "stretch")


@pytest.mark.parametrize(
    ("size", "frame", "resize"),
    [
        (112, None, 128),  # the crop keeps its share
        ((112, 448), None, (112, 448)),
        (224, "pad", 224),
        (112, "stretch", 112),
        ((64, 64), "crop", 73),
    ],
)
def test_another_shape_or_frame_shows_whole_pictures(size: Any, frame: Any, resize: Any) -> None:
    at = Preprocess(size=224, resize=256).at(size, frame)
    assert at.resize == resize
    assert at.size == as_size(size)


def test_a_rectangle_keeps_its_margin_at_another_size() -> None:
    at = Preprocess(size=(100, 400), resize=(110, 440)).at((50, 200))
    assert (at.size, at.resize) == ((50, 200), (55, 220))


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (224, 224),
        ((96, 384), (96, 384)),
        ([96, 384], (96, 384)),
        ((64, 64), 64),
        ("224", 224),
        ("96x384", (96, 384)),
        ("96X384", (96, 384)),
        ("96×384", (96, 384)),
        (" 96 x 384 ", (96, 384)),
        ("96,384", (96, 384)),
        ("64x64", 64),
        (np.int64(32), 32),
    ],
)
def test_sizes_as_people_write_them(given: Any, size: Any) -> None:
    assert as_size(given) == size
    assert all(type(side) is int for side in (size if isinstance(size, tuple) else (size,)))


@pytest.mark.parametrize("given", ["", "big", "96x", "x96", "3x96x384", "-5", "9.5", 9.5, (1, 2, 3), (), None, True])
def test_what_is_no_size_is_refused_with_an_example(given: Any) -> None:
    with pytest.raises(InputError, match="height x width, such as 96x384, not"):
        as_size(given)


@pytest.mark.parametrize("given", [0, "0", (0, 5), "96x0", -3])
def test_sides_below_a_pixel_are_refused(given: Any) -> None:
    with pytest.raises(InputError, match="at least 1 pixel per side"):
        as_size(given)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"frame": "fit"}, "frame 'fit' is not one of crop, pad, stretch"),
        ({"frame": "pad", "resize": 9}, "resize must equal size"),
        ({"size": (8, 16), "resize": (8, 15)}, "size=8×16, resize=8×15"),
        ({"size": "8x16", "resize": (8, 15)}, "size=8×16"),
    ],
)
def test_what_cannot_be_used_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        Preprocess(**({"size": 8, "resize": 8} | values))
    assert said in str(caught.value)


def test_places_of_odd_sizes() -> None:
    assert cover((3, 4), (256, 256), (224, 224)) == (256, 341, 16, 58)  # 58.5 to the even neighbor
    assert fit_within((3, 4), (7, 8)) == (6, 8, 0, 0)
    assert fit_within((1, 10_000), (96, 384)) == (1, 384, -47, 0)
    assert side_of((96, 384)) == 192


@pytest.mark.parametrize("channels", [2, 5])
def test_a_mean_that_is_measured_later_changes_no_pixel_of_a_padded_picture(channels: int) -> None:
    """Bands have no usual mean: training measures it on pictures that are padded already."""
    trained = Preprocess.for_input((8, 16), channels=channels, frame="pad")
    measured = replace(trained, mean=(0.2,) * channels, std=(0.1,) * channels)
    picture = np.full((8, 8, channels), 7, np.uint8)
    assert np.array_equal(trained(picture), measured(picture))
    assert trained.pixels_key == measured.pixels_key
