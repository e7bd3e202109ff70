"""Grey, transparent and many-band pictures from the folder to the bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import ImageError
from pennyweight.core.images import decode_bands, header
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.readers.input_size import suggest_input

tifffile = pytest.importorskip("tifffile", reason="TIFF files of many bands need the extra bands")

LEVELS = {"dry": 70, "wet": 170}


def write(path: Path, pixels: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    else:
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)


def folder(root: Path, bands: int, ending: str) -> Path:
    draw = np.random.default_rng(0)
    for label, level in LEVELS.items():
        (root / label).mkdir(parents=True)
        for number in range(16):
            pixels = np.clip(draw.normal(level, 40, (20, 22, bands)), 0, 255).astype(np.uint8)
            write(root / label / f"{number}{ending}", pixels)
    return root


CASES = [(7, ".tif", None), (1, ".png", None), (4, ".png", 4), (5, ".npy", None), (2, ".npy", None)]


@pytest.mark.slow
@pytest.mark.parametrize(("bands", "ending", "asked"), CASES)
def test_from_the_folder_to_the_bundle(
    tmp_path: Path, fit_small: Callable[..., pw.Run], bands: int, ending: str, asked: int | None
) -> None:
    root = folder(tmp_path / "fields", bands, ending)
    run = fit_small(root, out=tmp_path / "run", channels=asked)
    preprocess = Preprocess.from_dict(run.record["preprocess"])
    assert run.record["model"]["in_channels"] == preprocess.channels == bands
    if bands not in (1, 3):
        assert preprocess.mean == pytest.approx([120 / 255] * bands, abs=0.05)
    bundle = pw.export(run)
    assert bundle.manifest.parity["same_top1"] == bundle.manifest.parity["pictures"] > 0
    paths = sorted(root.rglob(f"*{ending}"))
    assert [p.label for p in pw.load(bundle.path).predict(paths)] == [p.label for p in pw.load(run).predict(paths)]
    assert pw.evaluate(bundle, str(root)).to_dict() == pw.evaluate(bundle, root).to_dict()
    assert run.report_path.exists()


def test_transparency_is_laid_on_white_unless_it_is_asked_for(tmp_path: Path) -> None:
    root = folder(tmp_path / "fields", 4, ".png")
    assert data.open(root).channels == 3
    path = next(root.rglob("*.png"))
    four = Preprocess(size=20, resize=20, channels=4, mean=(0.5,) * 4, std=(1,) * 4)
    assert np.array_equal(four(path), np.asarray(Image.open(path))[:, 1:21])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("wide", [False, True])
def test_bands_are_read_in_either_order_and_of_16_bits_the_upper_8(tmp_path: Path, planar: str, wide: bool) -> None:
    pixels = (
        np.random.default_rng(0)
        .integers(0, 65536 if wide else 256, (12, 14, 6))
        .astype(np.uint16 if wide else np.uint8)
    )
    stored: Any = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar)
    assert header(tmp_path / "a.tif")[:4] == (12, 14, 6, "TIFF")
    found = np.stack([np.asarray(band) for band in decode_bands(tmp_path / "a.tif", channels=6)], axis=-1)
    assert np.array_equal(found, pixels >> 8 if wide else pixels)


def test_another_number_of_bands_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((9, 9, 5), np.uint8))
    with pytest.raises(ImageError, match=r"a\.npy: it has 5 bands of uint8, and 6 of uint8 are needed"):
        decode_bands(tmp_path / "a.npy", channels=6)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png: not a TIFF or \.npy file"):
        decode_bands(tmp_path / "a.png", channels=6)


@pytest.mark.parametrize("bands", [2, 4])
def test_few_bands_that_are_no_colours_are_bands(tmp_path: Path, bands: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 14, bands), dtype=np.uint8)
    photometric = "rgb" if bands == 4 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, extrasamples=("unspecified",))
    np.save(tmp_path / "a.npy", pixels)
    for path in (tmp_path / "a.tif", tmp_path / "a.npy"):
        assert suggest_input([(path.name, header(path))] * 3).channels == bands
        read = decode_bands(path, channels=bands)
        assert np.array_equal(np.dstack([np.asarray(image) for image in read]), pixels)


def test_the_doctor_reads_as_training_does_and_one_odd_file_is_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "fields", 3, ".png")
    np.save(root / "dry" / "odd.npy", np.zeros((20, 22, 7), np.uint8))
    source = data.open(root)
    assert source.channels == 3
    (found,) = diagnose(source).of("bands")
    assert (found.pictures, found.detail) == (("dry/odd.npy",), "it has 7 bands, and 3 are needed")
    many = folder(tmp_path / "many", 7, ".npy")
    broken = many / "dry" / "0.npy"
    broken.write_bytes(broken.read_bytes()[:500])
    (found,) = diagnose(data.open(many)).of("unreadable")
    assert found.pictures == ("dry/0.npy",)
