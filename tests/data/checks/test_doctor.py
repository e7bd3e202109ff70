"""The doctor finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.data.checks.diagnosis import KINDS, Diagnosis
from pennyweight.data.checks.doctor import diagnose
from pennyweight.report.contact_sheet import contact_sheet
from pennyweight.verbs.doctor import doctor

pytestmark = pytest.mark.usefixtures("few_trees")

Draw = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path, noise) -> Path:
    """Two classes of 12 different pictures, as JPEG of 90×70."""
    for number in range(24):
        folder = tmp_path / "photos" / ("cats", "dogs")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(70, 90, seed=number)).save(folder / f"{number:02d}.jpg", quality=92)
    return tmp_path / "photos"


def found(root: Path, kind: str, **options: bool) -> list[tuple[str, ...]]:
    return [finding.pictures for finding in diagnose(data.open(root), **options).of(kind)]


def test_nothing_is_found_where_nothing_is_wrong(photos: Path) -> None:
    diagnosis = diagnose(data.open(photos))
    assert diagnosis.findings == ()
    assert diagnosis.sound
    assert diagnosis.counts == {"cats": 12, "dogs": 12}
    assert sum(diagnosis.splits.values()) == 24


def truncated(root: Path) -> None:
    path = root / "cats" / "00.jpg"
    path.write_bytes(path.read_bytes()[:-300])


def two_labels(root: Path) -> None:
    shutil.copy(root / "cats" / "00.jpg", root / "dogs" / "copy.jpg")


def twice(root: Path) -> None:
    shutil.copy(root / "cats" / "00.jpg", root / "cats" / "copy.jpg")


def saved_again(root: Path, target: str = "cats/near.jpg") -> None:
    with Image.open(root / "cats" / "00.jpg") as image:
        image.resize((81, 63)).save(root / target, quality=60)


def wrong_ending(root: Path) -> None:
    Image.effect_noise((40, 40), 90).convert("RGB").save(root / "cats" / "odd.jpg", "PNG")


def modes(root: Path) -> None:
    Image.effect_noise((40, 40), 90).convert("CMYK").save(root / "cats" / "odd.jpg")


def turned(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((40, 30), 90).convert("RGB").save(root / "cats" / "odd.jpg", exif=exif)


def tiny(root: Path) -> None:
    Image.effect_noise((9, 12), 90).convert("RGB").save(root / "cats" / "odd.png")


def dull(root: Path) -> None:
    levels = np.random.default_rng(0).integers(100, 114, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(levels).save(root / "cats" / "odd.png")


def animated(root: Path) -> None:
    frames = [Image.effect_noise((40, 40), sigma) for sigma in (90, 60)]
    frames[0].save(root / "cats" / "odd.webp", save_all=True, append_images=frames[1:])


def pages(root: Path) -> None:
    frames = [Image.effect_noise((40, 40), sigma) for sigma in (90, 60)]
    frames[0].save(root / "cats" / "odd.tif", save_all=True, append_images=frames[1:])


def bands(root: Path) -> None:
    np.save(root / "cats" / "odd.npy", np.random.default_rng(0).integers(0, 256, (40, 40, 7), dtype=np.uint8))


def empty(root: Path) -> None:
    (root / "cats" / "odd.png").touch()


def unequal(root: Path) -> None:
    for path in sorted((root / "dogs").iterdir())[4:]:
        path.unlink()


ILLS: dict[str, tuple[Callable[[Path], None], str, tuple[str, ...]]] = {
    "truncated": (truncated, "unreadable", ("cats/00.jpg",)),
    "two labels": (two_labels, "two labels", ("cats/00.jpg", "dogs/copy.jpg")),
    "twice": (twice, "duplicate", ("cats/00.jpg", "cats/copy.jpg")),
    "saved again": (saved_again, "twins", ("cats/00.jpg", "cats/near.jpg")),
    "saved again under another label": (
        lambda root: saved_again(root, "dogs/near.jpg"),
        "twins, two labels",
        ("cats/00.jpg", "dogs/near.jpg"),
    ),
    "a wrong ending": (wrong_ending, "extension", ("cats/odd.jpg",)),
    "an odd mode": (modes, "mode", ("cats/odd.jpg",)),
    "turned": (turned, "orientation", ("cats/odd.jpg",)),
    "tiny": (tiny, "tiny", ("cats/odd.png",)),
    "animated": (animated, "several", ("cats/odd.webp",)),
    "pages": (pages, "several", ("cats/odd.tif",)),
    "hardly any contrast": (dull, "dull", ("cats/odd.png",)),
    "other bands": (bands, "bands", ("cats/odd.npy",)),
    "empty": (empty, "unreadable", ("cats/odd.png",)),
    "unequal classes": (unequal, "imbalance", ()),
}


@pytest.mark.parametrize("ill", ILLS)
def test_each_ill_is_found_and_nothing_else(photos: Path, ill: str) -> None:
    make, kind, pictures = ILLS[ill]
    make(photos)
    diagnosis = diagnose(data.open(photos))
    assert [(finding.kind, finding.pictures) for finding in diagnosis.findings] == [(kind, pictures)]
    assert diagnosis.sound == (KINDS[kind][0] != "error")


def test_the_same_picture_in_two_splits(draw_folder: Draw) -> None:
    root = draw_folder({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2})
    shutil.copy(next((root / "train" / "a").iterdir()), root / "test" / "a" / "copy.png")
    diagnosis = diagnose(data.open(root))
    ((kind, pictures, detail),) = diagnosis.of("two splits")
    assert kind == "two splits"
    assert sorted(detail.split(", ")) == ["1 of a in test", "1 of a in train"]
    assert "test/a/copy.png" in pictures
    assert diagnosis.splits["test"] == 5
    assert sum(diagnosis.splits.values()) == 16  # fit leaves the one in training out
    assert any("left out of training" in note for note in diagnosis.notes)


def test_equal_files_that_cannot_be_read_are_unreadable_alone(photos: Path) -> None:
    for name in ("cats/odd.png", "dogs/odd.png"):
        (photos / name).write_text("<html>404</html>")
    assert [finding.kind for finding in diagnose(data.open(photos)).findings] == ["unreadable", "unreadable"]


def test_quick_leaves_out_near_duplicates(photos: Path) -> None:
    saved_again(photos)
    assert found(photos, "twins")
    assert not found(photos, "twins", quick=True)


def test_near_pairs_are_found_within_and_across_splits(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(150):
        small = Image.fromarray(draw.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        image = small.resize((60, 60), Image.Resampling.BICUBIC)
        own, other = ("train", "test")[number % 5 == 0], ("train", "test")[number % 2]
        for part, name in ((own, f"{number:03d}.png"), (other, f"{number:03d}-again.jpg")):
            folder = tmp_path / "many" / part / "ab"[number % 3 % 2]
            folder.mkdir(parents=True, exist_ok=True)
            if name.endswith("png"):
                image.save(folder / name)
            elif number % 15 == 0:
                image.resize((50, 50)).save(folder / name, quality=70)
    together, apart = (found(tmp_path / "many", kind) for kind in ("twins", "twins, two splits"))
    assert len(together) == len(apart) == 5
    for pictures in together + apart:
        assert len({Path(picture).name[:3] for picture in pictures}) == 1


def test_twins_begin_with_a_picture_of_each_split(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for scene in range(8):
        image = Image.fromarray(draw.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize((66, 66))
        for frame in range(6 if scene < 2 else 1):
            part = "train" if frame < 5 and scene < 5 else "val"
            folder = tmp_path / "parts" / part / "ab"[scene % 2]
            folder.mkdir(parents=True, exist_ok=True)
            image.crop((frame, 0, frame + 60, 60)).save(folder / f"{scene:02d}_{frame}.png")
    apart = found(tmp_path / "parts", "twins, two splits")
    assert len(apart) == 2
    for pictures in apart:
        assert len(pictures) == 6
        assert len({Path(picture).parts[0] for picture in pictures[:2]}) == 2


def test_frames_of_one_moment_are_one_finding(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for scene in range(20):
        small = Image.fromarray(draw.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        image = small.resize((66, 66), Image.Resampling.BICUBIC)
        folder = tmp_path / "frames" / "ab"[scene % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(4 if scene < 3 else 1):
            image.crop((frame, frame, frame + 60, frame + 60)).save(folder / f"{scene:02d}-{frame}.png")
    assert [len(pictures) for pictures in found(tmp_path / "frames", "twins")] == [4, 4, 4]


def test_plain_pictures_are_not_alike(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / "plain" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number * 12, 9, 9)).save(folder / f"{number}.png")
    assert {finding.kind for finding in diagnose(data.open(tmp_path / "plain")).findings} == {"dull"}


def test_the_contact_sheet_shows_the_findings_and_asks_for_nothing(photos: Path, tmp_path: Path) -> None:
    two_labels(photos)
    saved_again(photos, "cats/<b>near.jpg")
    (photos / "dogs" / "01.jpg").write_bytes(b"no picture")
    diagnosis = doctor(photos, html=tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8").replace("<wbr>", "")
    assert [finding.kind for finding in diagnosis.findings] == ["unreadable", "two labels", "twins"]
    for name in ("cats/00.jpg", "dogs/copy.jpg", "dogs/01.jpg"):
        assert name in page
    assert "<b>near" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg") >= 1


def test_a_sheet_shows_at_most_so_many_of_a_kind() -> None:
    findings = [
        {"kind": "tiny", "severity": "note", "meaning": "small", "pictures": [f"p{n}"], "detail": "1×1"}
        for n in range(30)
    ]
    values = {
        "source": "s",
        "sound": True,
        "verdict": "sound",
        "counts": {"a": 3},
        "splits": None,
        "notes": [],
        "shortcuts": [],
        "findings": findings,
    }
    page = contact_sheet(values, {}, shown=24)
    assert "Tiny: 30" in page
    assert "Note: small." in page
    assert "Only the first 24 are shown" in page
    assert "p23" in page
    assert "p24" not in page


def test_a_diagnosis_is_json(photos: Path) -> None:
    truncated(photos)
    diagnosis = diagnose(data.open(photos))
    assert isinstance(diagnosis, Diagnosis)
    values = json.loads(json.dumps(diagnosis.to_dict()))
    assert values["sound"] is False
    assert values["findings"][0]["pictures"] == ["cats/00.jpg"]


def test_arrays_and_rows_are_looked_at_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (30, 20, 20), dtype=np.uint8)
    images[7] = images[3]
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(30) % 2)
    assert len(found(tmp_path / "a.npz", "duplicate")) == 1
    file = io.BytesIO()
    np.save(file, images[0])
    assert diagnose(data.open(tmp_path / "a.npz")).counts == {"0": 15, "1": 15}
