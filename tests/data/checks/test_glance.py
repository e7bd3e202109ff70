"""One pass sees all of a picture that the checks need, keeps it, and looks at nothing twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data.checks import glance as module
from pennyweight.data.checks.glance import Glances, glance
from pennyweight.data.checks.glance_cache import GlanceCache

TOP, BOTTOM, LEFT, RIGHT = range(4)


@pytest.fixture
def photos(tmp_path: Path, noise) -> Path:
    """Two classes of 6 JPEG pictures of 90×70."""
    for number in range(12):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(70, 90, seed=number)).save(folder / f"{number:02d}.jpg", quality=85)
    return tmp_path / "photos"


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that are decoded."""
    names: list[str] = []
    see = module._see

    def counted(sample: data.Sample, **options: object) -> object:
        names.append(sample.name)
        return see(sample, **options)

    monkeypatch.setattr(module, "_see", counted)
    return names


def same(one: Glances, other: Glances) -> bool:
    return (one.looks == other.looks).all() and one.saved == other.saved and one.reasons == other.reasons


def test_a_file_tells_how_it_was_saved(photos: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Acme", "X1", "Editor 2"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:00"
    with Image.open(photos / "a" / "00.jpg") as image:
        image.save(photos / "a" / "00.jpg", quality=40, exif=exif, dpi=(300, 300))
        image.convert("L").save(photos / "a" / "02.jpg", "PNG")
    source = data.open(photos)
    saved = {sample.name: one for sample, one in zip(source.samples, glance(source).saved, strict=True)}
    first = saved["a/00.jpg"]
    assert first.quality == pytest.approx(40, abs=0.6)
    assert (first.camera, first.make, first.software, first.taken) == ("X1", "Acme", "Editor 2", "2024-05-01T12:30:00")
    assert "300×300" in first.layout
    assert first.file_bytes == (photos / "a" / "00.jpg").stat().st_size
    assert (saved["a/02.jpg"].header.format, saved["a/02.jpg"].header.mode, saved["a/02.jpg"].quality) == (
        "PNG",
        "L",
        0,
    )
    assert saved["b/01.jpg"].quality == pytest.approx(85, abs=0.6)


@pytest.mark.parametrize(("orientation", "side"), [(1, TOP), (3, BOTTOM), (6, RIGHT), (8, LEFT)])
def test_the_outermost_pixels_are_those_of_the_upright_picture(photos: Path, orientation: int, side: int) -> None:
    pixels = np.full((60, 90, 3), 40, np.uint8)
    pixels[:3] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(photos / "a" / "00.jpg", quality=95, exif=exif)
    ring = glance(data.open(photos)).looks["ring"][0]
    assert ring[:, :3].mean(1).argmax() == side
    assert ring[side, 6] > 150  # brighter than the line further in


@pytest.mark.parametrize("width", [1, 4])
def test_a_thin_border_of_a_large_picture_is_not_lost(photos: Path, noise, width: int) -> None:
    pixels = (noise(1100, 1200, seed=3) // 4).astype(np.uint8)
    Image.fromarray(pixels).save(photos / "a" / "00.jpg", quality=90)
    plain = glance(data.open(photos)).looks["ring"][0]
    pixels[:width] = pixels[-width:] = 255
    Image.fromarray(pixels).save(photos / "a" / "00.jpg", quality=90)
    ring = glance(data.open(photos)).looks["ring"][0]
    assert (ring[[TOP, BOTTOM], 6] - plain[[TOP, BOTTOM], 6] > 15).all()


def unreadable(photos: Path) -> data.Source:
    (photos / "a" / "02.jpg").write_bytes((photos / "a" / "02.jpg").read_bytes()[:300])
    (photos / "a" / "04.jpg").write_text("<html>404</html>")
    source = data.open(photos)
    (photos / "a" / "00.jpg").unlink()
    return source


def test_unreadable_pictures_have_a_reason_and_raise_nothing(photos: Path, tmp_path: Path) -> None:
    source = unreadable(photos)
    cache = GlanceCache(tmp_path / "cache")
    for _ in range(2):
        found = glance(source, cache=cache)
        assert found.readable.tolist() == [False, False, False, *[True] * 9]
        assert found.reasons[0] == f"no picture at {photos / 'a' / '00.jpg'}"
        assert "HTML" in str(found.reasons[2])
        assert not found.looks["gray"][:3].any()
        assert found.saved[:3] == (None, None, None)
    shutil.copy(photos / "b" / "01.jpg", photos / "a" / "00.jpg")  # it is tried again, and is there
    assert glance(source, cache=cache).readable[0]


def test_the_second_look_decodes_nothing(photos: Path, tmp_path: Path, looked: list[str]) -> None:
    cache = GlanceCache(tmp_path / "cache")
    first = glance(data.open(photos), cache=cache)
    assert len(looked) == 12
    assert same(first, glance(data.open(photos), cache=cache))
    assert len(looked) == 12
    glance(replace(data.open(photos), channels=1), cache=cache)  # other settings are another look
    assert len(looked) == 24


def test_changed_and_added_pictures_are_looked_at_alone(photos: Path, tmp_path: Path, noise, looked: list[str]) -> None:
    cache = GlanceCache(tmp_path / "cache")
    glance(data.open(photos), cache=cache)
    looked.clear()
    Image.fromarray(noise(50, 50, seed=50)).save(photos / "a" / "00.jpg")
    Image.fromarray(noise(50, 50, seed=51)).save(photos / "b" / "99.jpg")
    (photos / "b" / "01.jpg").rename(photos / "b" / "renamed.jpg")
    found = glance(source := data.open(photos), cache=cache)
    assert sorted(looked) == ["a/00.jpg", "b/99.jpg"]
    assert same(found, glance(source))


def test_equal_pictures_are_decoded_once(photos: Path, looked: list[str]) -> None:
    shutil.copy(photos / "a" / "00.jpg", photos / "b" / "copy.jpg")
    done: list[int] = []
    found = glance(source := data.open(photos), advance=done.append)
    assert (len(looked), sum(done), len(found)) == (12, 13, 13)
    place = [sample.name for sample in source.samples].index("b/copy.jpg")
    assert (found.looks[place] == found.looks[0]).all()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", None])
def test_a_damaged_cache_is_written_again(
    photos: Path, tmp_path: Path, looked: list[str], damage: bytes | None
) -> None:
    cache = GlanceCache(tmp_path / "cache")
    first = glance(data.open(photos), cache=cache)
    (file,) = (tmp_path / "cache").glob("*.npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if damage is None else damage)
    looked.clear()
    assert same(first, glance(data.open(photos), cache=cache))
    assert len(looked) == 12
    assert same(first, glance(data.open(photos), cache=cache))
    assert len(looked) == 12


def test_a_cache_runs_nothing(photos: Path, tmp_path: Path) -> None:
    cache = GlanceCache(tmp_path / "cache")
    first = glance(data.open(photos), cache=cache)
    (file,) = (tmp_path / "cache").glob("*.npz")

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
            return Path.touch, (tmp_path / "trapped",)  # type: ignore[return-value]

    np.savez(file, looks=np.array([Trap()], object), digests=np.zeros((1, 32), np.uint8), saved=np.zeros(1, np.uint8))
    assert same(first, glance(data.open(photos), cache=cache))
    assert not (tmp_path / "trapped").exists()


def test_a_cache_without_room_says_so(photos: Path, tmp_path: Path) -> None:
    found = glance(data.open(photos), cache=GlanceCache(tmp_path / "cache", max_bytes=1000))
    assert found.readable.all()
    assert str(found.note).startswith("pictures are looked at again the next time: cannot keep 0.0 MB at ")
    (tmp_path / "file").touch()
    found = glance(data.open(photos), cache=GlanceCache(tmp_path / "file" / "below"))
    assert "cannot keep" in str(found.note)
    assert not list(tmp_path.glob("cache/*.npz"))


def test_the_least_recently_used_file_makes_room(photos: Path, tmp_path: Path, looked: list[str]) -> None:
    source = data.open(photos)
    glance(source, cache=GlanceCache(tmp_path / "cache"))
    (file,) = (tmp_path / "cache").glob("*.npz")
    cache = GlanceCache(tmp_path / "cache", max_bytes=int(1.5 * file.stat().st_size))
    glance(replace(source, address="other"), cache=cache)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1
    looked.clear()
    glance(replace(source, address="other"), cache=cache)
    assert not looked


def test_arrays_and_many_bands_are_looked_at(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 20, 24), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(30) % 2)
    found = glance(data.open(tmp_path / "a.npz"))
    assert found.saved[0].header.format == "array"
    assert found.colors.shape == (30, 8, 8, 3)
    for number in range(4):
        folder = tmp_path / "bands" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shape = (20, 24, 7) if number else (20, 24, 5)
        np.save(folder / f"{number}.npy", np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8))
    found = glance(replace(data.open(tmp_path / "bands", strict=False), channels=7))
    assert (found.readable.sum(), found.banded.sum()) == (3, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2), (5, 3)])
def test_the_smallest_pictures_are_looked_at(photos: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(photos / "a" / "00.png")
    found = glance(data.open(photos))
    assert found.readable.all()
    assert np.isfinite(found.looks["ring"]).all()
    assert np.isfinite(found.looks["inner_ring"]).all()
    assert np.isfinite(found.looks["detail"]).all()


def test_an_interruption_ends_the_look(photos: Path, noise, looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    monkeypatch.setattr(module, "cores", lambda: 1)
    for number in range(60):
        Image.fromarray(noise(20, 20, seed=100 + number)).save(photos / "a" / f"more-{number}.png")

    def interrupt(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        glance(data.open(photos), advance=interrupt)
    assert len(looked) < 20
