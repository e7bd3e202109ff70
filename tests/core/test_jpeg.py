"""Both decoders, at every scale, give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pennyweight.core import jpeg
from pennyweight.core.images import decode
from pennyweight.core.preprocess import Preprocess

pytest.importorskip("simplejpeg", reason="the extra fast is not installed")


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`both(content, …)`: what `decode` gives with simplejpeg, which must not refuse, and with Pillow alone."""

    def decoded(content: bytes, **options: int) -> tuple[np.ndarray, np.ndarray]:
        used: list[bool] = []
        quick = jpeg._decode_fast
        with monkeypatch.context() as patch:
            patch.setattr(
                jpeg, "_decode_fast", lambda *a: (lambda out: (used.append(out is not None), out)[1])(quick(*a))
            )
            first = np.asarray(decode(content, **options))
        assert used == [True]
        with monkeypatch.context() as patch:
            patch.setattr(jpeg, "simplejpeg", None)
            return first, np.asarray(decode(content, **options))

    return decoded


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("least", [None, 100, 50, 25, 10])
def test_simplejpeg_and_pillow_agree(noise, both, subsampling: int, progressive: bool, least: int | None) -> None:
    for shape in ((203, 317), (208, 320), (401, 201)):
        pixels = noise(*shape, seed=sum(shape)) ^ np.random.default_rng(0).integers(0, 32, (*shape, 3), dtype=np.uint8)
        content = encoded(pixels, subsampling=subsampling, progressive=progressive, quality=85)
        first, second = both(content, least=least)
        assert np.array_equal(first, second)
        assert least is None or min(first.shape[:2]) >= least


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_turned_files_agree(noise, both, channels: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for pixels in (noise(90, 120, None), noise(90, 120)):
        first, second = both(encoded(pixels, exif=exif), channels=channels)
        assert np.array_equal(first, second)
        assert first.shape[:2] == (120, 90)


def test_the_scale_is_the_smallest_that_is_large_enough(noise) -> None:
    content = encoded(noise(800, 1200))
    sizes = {least: decode(content, least=least).size for least in (None, 801, 800, 401, 400, 201, 200, 100, 1)}
    assert sizes[None] == sizes[801] == sizes[800] == sizes[401] == (1200, 800)
    assert sizes[400] == sizes[201] == (600, 400)
    assert sizes[200] == (300, 200)
    assert sizes[100] == sizes[1] == (150, 100)


def test_draft_decoding_is_close_to_full_and_other_bytes(noise) -> None:
    content = encoded(noise(900, 1200))
    full, draft = (Preprocess(size=64, resize=72, decoding=how)(content) for how in ("full", "draft"))
    assert not np.array_equal(full, draft)
    assert np.abs(full.astype(int) - draft).mean() < 5


@pytest.mark.parametrize("mode", ["CMYK", "truncated", "trailing"])
def test_what_one_decoder_refuses_is_the_others_to_judge(
    noise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    image = Image.fromarray(noise(60, 80))
    (image.convert("CMYK") if mode == "CMYK" else image).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    content = {"CMYK": content, "truncated": content[:-40], "trailing": content + b"xyz"}[mode]

    def outcome() -> bytes | str:
        try:
            return decode(content).tobytes()
        except Exception as error:
            return str(error)

    first = outcome()
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert outcome() == first


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_of_the_input_s_size_has_the_same_bytes_as_on_the_long_way(
    noise: Callable[..., NDArray[np.uint8]], mode: str, subsampling: int
) -> None:
    whole = Image.fromarray(noise(33, 33, 3)).convert(mode)
    channels = len(mode)
    turned = Image.Exif()
    turned[0x0112] = 6
    for options in ({}, {"exif": turned}, {"progressive": True}, {"comment": b"a comment"}):
        file = io.BytesIO()
        whole.save(file, "JPEG", subsampling=subsampling, **options)
        short = jpeg.decode_plain(file.getvalue(), (33, 33, channels))
        assert (short is None) == ("exif" in options or "progressive" in options)
        long = np.asarray(decode(file.getvalue(), channels=channels)).reshape(33, 33, channels)
        assert np.array_equal(
            Preprocess(size=33, resize=33, mean=(0.5,) * channels, std=(0.5,) * channels, channels=channels)(
                file.getvalue()
            ),
            long,
        )
        assert jpeg.decode_plain(file.getvalue(), (33, 32, channels)) is None
        assert jpeg.decode_plain(file.getvalue()[:-40], (33, 33, channels)) is None
    assert jpeg.decode_plain(b"", (33, 33, 3)) is None
    assert jpeg.decode_plain(b"\xff\xd8\xff", (33, 33, 3)) is None
