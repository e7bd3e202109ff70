"""Names, folders, times and cameras that part groups between training and test are proposed, and nothing else is."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pennyweight import data
from pennyweight.data.checks.doctor import diagnose
from pennyweight.data.groups import group_samples

pytestmark = pytest.mark.usefixtures("no_shortcuts")

SCENES, FRAMES = 20, 5
SIDES = ("left", "right", "up", "down", "back")
Name = Callable[[int, int], str]


def label_of(scene: int) -> str:
    return "ab"[scene % 2]


def hashed(scene: int, frame: int) -> str:
    return hashlib.sha256(f"{scene} {frame}".encode()).hexdigest()[:16]


NAMES: dict[str, tuple[Name, str]] = {
    "scene and frame": (lambda s, f: f"scene_{s:03d}_frame_{f:02d}", "(scene_[0-9]+)"),
    "video and number": (lambda s, f: f"video{s}-{f:04d}", "(video[0-9]+)"),
    "numbers alone": (lambda s, f: f"{s:03d}_{f:02d}", "([0-9]+)"),
    "patient and side": (lambda s, f: f"patient{s:02d}_{SIDES[f]}", "(patient[0-9]+)"),
    "patient, day, slice": (lambda s, f: f"patient{s:02d}_day{f % 2}_slice{f:02d}", "(patient[0-9]+)"),
    "words": (lambda s, f: f"{'kqzvx'[s % 5]}itchen{'abcd'[s // 5]}-{f:04d}", r"([^/_. -]+)[_ -][^/]*$"),
    "words with blanks": (lambda s, f: f"room {'ABCDEFGHIJKLMNOPQRST'[s]} ({f})", None),
    "capitals": (lambda s, f: f"SUBJ{s:02d}L{f}", "(SUBJ[0-9]+)"),
    "quotes": (lambda s, f: f"bob's film {s:02d} {f}", r"(bob's film [0-9]+)"),
    "dots": (lambda s, f: f"case.{s}.{f}", r"(case\.[0-9]+)"),
}
FEW = ("scene and frame", "numbers alone", "words", "words with blanks", "dots")


@pytest.fixture(scope="module")
def frames(noise: Callable[..., NDArray[np.uint8]]) -> dict[tuple[int, int], Image.Image]:
    """Frames of scenes: crops of one picture each, moved by some pixels."""
    draw = np.random.default_rng(0)
    made = {}
    for scene in range(SCENES):
        pixels = noise(40, 40, seed=scene)
        for frame in range(FRAMES):
            top, left = draw.integers(0, 6, 2)
            made[scene, frame] = Image.fromarray(pixels[top : top + 32, left : left + 32])
    return made


def save(
    frames: dict[tuple[int, int], Image.Image], root: Path, name: Name, *, exif: Callable[..., Image.Exif] | None = None
) -> Path:
    for (scene, frame), image in frames.items():
        path = root / label_of(scene) / f"{name(scene, frame)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **({"exif": exif(scene, frame).tobytes()} if exif else {}))
    return root


def proposed(root: Path) -> str | None:
    findings = diagnose(data.open(root), quick=True).of("groups")
    assert len(findings) <= 1
    return shlex.split(findings[0].detail)[1] if findings else None


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind in FEW else pytest.mark.slow) for kind in NAMES])
def test_a_counter_in_names_is_proposed(frames: dict[tuple[int, int], Image.Image], tmp_path: Path, kind: str) -> None:
    name, pattern = NAMES[kind]
    root = save(frames, tmp_path / "s", name)
    found = proposed(root)
    assert found is not None
    if pattern is not None:
        assert found == pattern
    grouped = data.open(root, group_by=found)  # as the user would type it
    scenes = {}
    for sample in grouped.samples:
        scenes.setdefault(sample.group, set()).add(sample.label)
    assert len(scenes) == SCENES
    assert all(len(labels) == 1 for labels in scenes.values())
    assert diagnose(grouped, quick=True).of("groups") == ()


def test_the_line_says_what_is_shared(frames: dict[tuple[int, int], Image.Image], tmp_path: Path) -> None:
    root = save(frames, tmp_path / "s", NAMES["scene and frame"][0])
    (finding,) = diagnose(data.open(root), quick=True).of("groups")
    count = diagnose(data.open(root), quick=True).splits["test"]
    assert finding.detail.startswith(f"--group-by '(scene_[0-9]+)' finds {SCENES} groups: ")
    assert finding.detail.endswith(f"of {count} test pictures share a group with training")
    train, test = (name.split("_frame")[0] for name in finding.pictures)
    assert train == test
    assert finding.severity == "warning"


def test_numbers_that_start_again_in_each_class_take_the_folder(
    frames: dict[tuple[int, int], Image.Image], tmp_path: Path
) -> None:
    root = save(frames, tmp_path / "s", lambda s, f: f"{s // 2:02d}_{f}")
    found = proposed(root)
    assert found is not None
    assert len({sample.group for sample in data.open(root, group_by=found).samples}) == SCENES


def test_folders_within_classes_are_proposed(frames: dict[tuple[int, int], Image.Image], tmp_path: Path) -> None:
    assert proposed(save(frames, tmp_path / "s", lambda s, f: f"film {s}/{hashed(s, f)}")) == "folder"


NOTHING: dict[str, Name] = {
    "a running number": lambda s, f: f"IMG_{(7 * (FRAMES * s + f)) % 100:04d}",
    "a plain number": lambda s, f: f"{(7 * (FRAMES * s + f)) % 100}",
    "hashes": hashed,
    "the class and a number": lambda s, f: f"{label_of(s)}{(7 * (FRAMES * s + f)) % 100}",
    "numbers of something else": lambda s, f: f"part{f}_{(7 * s) % 20:02d}",
}


@pytest.mark.parametrize("kind", NOTHING)
def test_nonsense_is_not_proposed(frames: dict[tuple[int, int], Image.Image], tmp_path: Path, kind: str) -> None:
    assert proposed(save(frames, tmp_path / "s", NOTHING[kind])) is None


def test_groups_that_the_splits_keep_apart_are_no_finding(
    frames: dict[tuple[int, int], Image.Image], tmp_path: Path
) -> None:
    for (scene, frame), image in frames.items():
        path = tmp_path / "s" / ("test" if scene < 6 else "train") / label_of(scene) / f"scene_{scene}_{frame}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    assert proposed(tmp_path / "s") is None


def test_given_splits_that_part_scenes_are_told(frames: dict[tuple[int, int], Image.Image], tmp_path: Path) -> None:
    for (scene, frame), image in frames.items():
        part = "test" if frame == 0 and scene % 4 < 2 else "train"
        path = tmp_path / "s" / part / label_of(scene) / f"scene_{scene}_{frame}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    (finding,) = diagnose(data.open(tmp_path / "s"), quick=True).of("groups")
    assert "100.0% of 10 test pictures share a group with training" in finding.detail


def exif(time: datetime | None, model: str | None, make: str | None = None) -> Image.Exif:
    made = Image.Exif()
    if make is not None:
        made[0x010F] = make
    if model is not None:
        made[0x0110] = model
    if time is not None:
        made.get_ifd(0x8769)[0x9003] = time.strftime("%Y:%m:%d %H:%M:%S")
    return made


def test_times_and_cameras_are_proposed(frames: dict[tuple[int, int], Image.Image], tmp_path: Path) -> None:
    start = datetime(2024, 5, 1)

    def taken(scene: int, frame: int) -> Image.Exif:
        return exif(start + timedelta(hours=scene, minutes=4 * frame), None)

    root = save(frames, tmp_path / "time", hashed, exif=taken)
    assert proposed(root) == "exif:DateTimeOriginal@10min"
    assert len({sample.group for sample in data.open(root, group_by=proposed(root)).samples}) == SCENES
    root = save(frames, tmp_path / "camera", hashed, exif=lambda s, f: exif(None, f"X{s % 10}"))
    assert proposed(root) == "exif:Model"
    root = save(frames, tmp_path / "make", hashed, exif=lambda s, f: exif(None, None, f"Acme {s % 10}"))
    assert proposed(root) == "exif:Make"
    assert len({sample.group for sample in data.open(root, group_by=proposed(root)).samples}) == 10


@pytest.mark.parametrize(
    "made",
    [
        lambda s, f: exif(datetime(2024, 5, 1) + timedelta(minutes=s + 20 * f), None),  # one long session
        lambda s, f: exif(datetime(2024, 5, 1) + timedelta(days=20 * f + s), None),  # each alone
        lambda s, f: exif(None, label_of(s)),  # a camera for each class
        lambda s, f: exif(None, f"X{f}"),  # cameras that say nothing of the class
    ],
)
def test_times_and_cameras_that_group_nothing_are_not_proposed(
    frames: dict[tuple[int, int], Image.Image], tmp_path: Path, made: Callable[..., Image.Exif]
) -> None:
    assert proposed(save(frames, tmp_path / "s", hashed, exif=made)) is None


def test_a_source_with_groups_needs_no_proposal(frames: dict[tuple[int, int], Image.Image], tmp_path: Path) -> None:
    root = save(frames, tmp_path / "s", NAMES["scene and frame"][0])
    assert diagnose(group_samples(data.open(root), "(frame_[0-9]+)"), quick=True).of("groups") == ()
