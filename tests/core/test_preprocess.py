"""From a picture to the network's input."""

from __future__ import annotations

import io
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess

SIZES = [(1, 1), (7, 5), (33, 65), (65, 33), (224, 224), (255, 257), (301, 199), (333, 500), (500, 333), (48, 300)]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("resize", "size"), [(64, 56), (33, 33), (73, 64), (40, 33)])
@pytest.mark.parametrize("shape", SIZES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_equals_torchvisions_resize_and_crop(
    noise, shape: tuple[int, int], resize: int, size: int, interpolation: Any
) -> None:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    peer = Compose([Resize(resize, InterpolationMode(interpolation), antialias=True), CenterCrop(size)])
    ours = Preprocess(size=size, resize=resize, interpolation=interpolation)
    speckled = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for pixels in (noise(*shape), speckled):
        seen = ours(pixels)
        assert seen.shape == (size, size, 3)
        assert np.array_equal(seen, np.asarray(peer(Image.fromarray(pixels))))


@pytest.mark.parametrize("shape", [(31, 1000), (1000, 31), (3, 400)])
def test_equals_torchvision_within_rounding_where_only_the_middle_is_resized(noise, shape: tuple[int, int]) -> None:
    from torchvision.transforms import CenterCrop, Compose, Resize

    picture = Image.fromarray(noise(*shape))
    ours = Preprocess(size=56, resize=64)(picture)
    theirs = np.asarray(Compose([Resize(64, antialias=True), CenterCrop(56)])(picture))
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_nearest_takes_pixels_as_they_are() -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    seen = Preprocess(size=4, resize=4, interpolation="nearest", mean=(0.5,), std=(0.5,), channels=1)(pixels)
    assert seen[..., 0].tolist() == pixels[1::2, 1::2].tolist()


def test_a_picture_of_the_right_size_is_left_alone(noise) -> None:
    pixels = noise(32, 32)
    assert np.array_equal(Preprocess.for_input(32)(pixels), pixels)


@pytest.mark.parametrize(("height", "width", "box"), [(20, 30, np.s_[4:16, 9:21]), (30, 21, np.s_[9:21, 4:16])])
def test_the_middle_is_cut_out(noise, height: int, width: int, box: Any) -> None:
    pixels = noise(height, width)
    assert np.array_equal(Preprocess(size=12, resize=min(height, width))(pixels), pixels[box])


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1)])
def test_an_extreme_shape_stays_small_in_memory(shape: tuple[int, int]) -> None:
    """Resized as a whole, 1×5000 would become 256×1,280,000: a gigabyte."""
    pixels = np.full((*shape, 3), 77, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = Preprocess.for_input(224)(pixels)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert seen.shape == (224, 224, 3)
    assert (seen == 77).all()
    assert grown_kib < 50_000


@pytest.mark.parametrize("channels", [1, 3])
def test_every_form_of_a_picture_gives_the_same_bits(tmp_path: Path, noise, channels: int) -> None:
    pixels = noise(41, 67, None if channels == 1 else 3)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    preprocess = Preprocess.for_input(112, channels=channels)
    from_array = preprocess(pixels)
    assert from_array.shape == preprocess.shape == (112, 112, channels)
    assert from_array.dtype == np.uint8
    opened = Image.open(io.BytesIO(path.read_bytes()))
    for form in (path, str(path), path.read_bytes(), Image.fromarray(pixels), opened):
        assert np.array_equal(preprocess(form), from_array)


def test_the_answer_does_not_depend_on_who_opened_the_file(noise) -> None:
    """A Pillow image with EXIF orientation is turned as a file is."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(noise(40, 60)).save(file, "PNG", exif=exif)
    preprocess = Preprocess(size=20, resize=30)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert np.array_equal(preprocess(opened), preprocess(file.getvalue()))


def test_a_call_leaves_its_picture_alone(noise) -> None:
    pixels = noise(32, 32)
    before = pixels.copy()
    seen = Preprocess.for_input(32)(pixels)
    assert np.array_equal(pixels, before)
    assert not np.shares_memory(seen, pixels)


@pytest.mark.parametrize(
    ("size", "resize"), [(32, 32), (95, 95), (96, 110), (224, 256), (160, 183), (240, 274), (1, 1)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_usual_values(size: int, resize: int, channels: int) -> None:
    preprocess = Preprocess.for_input(size, channels=channels)
    assert (preprocess.size, preprocess.resize) == (size, resize)
    assert len(preprocess.mean) == len(preprocess.std) == channels
    assert all(0.4 < mean < 0.5 for mean in preprocess.mean)
    assert all(0.2 < std < 0.25 for std in preprocess.std)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess.for_input(224),
        Preprocess.for_input(32, channels=1),
        Preprocess(size=8, resize=9, interpolation="lanczos", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)),
    ],
)
def test_comes_back_from_json(preprocess: Preprocess) -> None:
    kept = json.loads(json.dumps(preprocess.to_dict()))
    again = Preprocess.from_dict(kept)
    assert again == preprocess
    assert hash(again) == hash(preprocess)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": 0}, "size needs at least 1 pixel per side, not 0"),
        ({"size": -3}, "not -3"),
        ({"size": 9, "resize": 8}, "size=9, resize=8"),
        ({"interpolation": "cubic"}, "'cubic'"),
        ({"mean": (0.5,)}, "(0.5,)"),
        ({"std": (0.5, 0.5)}, "(0.5, 0.5)"),
        ({"channels": 1}, "1 channels"),
        ({"std": (0.5, 0.0, 0.5)}, "(0.5, 0.0, 0.5)"),
        ({"std": (0.5, -1.0, 0.5)}, "-1.0"),
        ({"std": (0.5, float("nan"), 0.5)}, "nan"),
    ],
)
def test_values_that_cannot_be_used_are_refused_with_the_value(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        Preprocess(**({"size": 8, "resize": 8} | values))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_opened_jpeg_is_read_as_its_file_is(noise, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(noise(400, 300)).save(path)
    preprocess = Preprocess.for_input(64, decoding="draft")
    of_file = preprocess(path)
    with Image.open(path) as opened:
        for _ in range(2):  # looking changes nothing
            assert np.array_equal(preprocess(opened), of_file)
        assert opened.size == (300, 400)
        opened.load()
        assert not np.array_equal(preprocess(opened), of_file)  # decoded whole by its user
