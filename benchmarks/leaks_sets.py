"""Sets of photographs of which nothing can be learned but a leak: frames of scenes, and classes saved in two ways."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

SHELF = Path(os.environ.get("PENNYWEIGHT_DATA", "."))
SCENES, FRAMES, PHOTOS = 40, 6, 160
CLASSES = ("open", "closed")
Frames = Callable[[Image.Image, np.random.Generator], Iterator[Image.Image]]
Save = Callable[[Image.Image, Path], None]


def burst(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A hand that shakes, and light that changes."""
    photo = photo.resize((160, 160))
    for _ in range(FRAMES):
        x, y = draw.integers(0, 12, 2)
        yield ImageEnhance.Brightness(photo.crop((x, y, x + 148, y + 148))).enhance(float(draw.uniform(0.9, 1.1)))


def pan(right: int, down: int = 0) -> Frames:
    """Return a camera that turns by a number of pixels between frames, and sees 152 pixels in each direction."""

    def turn(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
        photo = photo.resize((152 + right * (FRAMES - 1), 152 + down * (FRAMES - 1)))
        for frame in range(FRAMES):
            yield photo.crop((right * frame, down * frame, right * frame + 152, down * frame + 152))

    return turn


def zoom(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A camera that comes closer by 5% from frame to frame."""
    photo = photo.resize((200, 200))
    for frame in range(FRAMES):
        inset = 100 - 100 * 0.95**frame
        yield photo.resize((144, 144), box=(inset, inset, 200 - inset, 200 - inset))


def lapse(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A fixed camera from morning to evening, with something that passes by."""
    photo = photo.resize((160, 160))
    for frame in range(FRAMES):
        light = np.asarray(photo).astype(np.float32) * (0.7 + 0.1 * frame) * (1 + 0.04 * frame, 1, 1 - 0.04 * frame)
        pixels = light.clip(0, 255).astype(np.uint8)
        x, y = draw.integers(0, 130, 2)
        pixels[y : y + 30, x : x + 30] = draw.integers(0, 256, 3)
        yield Image.fromarray(pixels)


def mirrored(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A photograph and its mirror image."""
    yield photo
    yield photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def resized(photo: Image.Image, draw: np.random.Generator) -> Iterator[Image.Image]:
    """A photograph as it was sent around."""
    for side in (320, 240, 200, 160, 128):
        yield photo.resize((side, round(side * photo.height / photo.width)))


SCENE_SETS: dict[str, Frames] = {
    "bursts": burst, "pans": pan(8), "wide pans": pan(12), "wider pans": pan(18), "diagonal pans": pan(12, 12),
    "wider diagonal pans": pan(18, 18), "zooms": zoom, "time lapses": lapse, "mirror images": mirrored,
    "resized": resized,
}  # fmt: skip


def smaller(photo: Image.Image, path: Path) -> None:
    photo.resize((photo.width * 4 // 5, photo.height * 4 // 5)).save(path, quality=60)


def bordered(photo: Image.Image, path: Path) -> None:
    pixels = np.array(photo)
    pixels[:5] = pixels[-5:] = 245
    Image.fromarray(pixels).save(path, quality=90)


def watermarked(photo: Image.Image, path: Path) -> None:
    marked = photo.copy()
    ImageDraw.Draw(marked).text((6, photo.height - 26), "(c) STOCK", fill="white", font_size=20)
    marked.save(path, quality=90)


def by_camera(model: str) -> Save:
    exif = Image.Exif()
    exif[0x0110] = model
    return lambda photo, path: photo.save(path, quality=90, exif=exif)


def usual(photo: Image.Image, path: Path) -> None:
    photo.save(path, quality=90)


SAVED: dict[str, tuple[Save, Save]] = {
    "saved smaller": (usual, smaller),
    "white border": (usual, bordered),
    "watermark": (usual, watermarked),
    "another camera": (by_camera("X1"), by_camera("Z9")),
}
"""Name of a set -> how each class is saved."""


def make_scenes(frames: Frames, photos: list[Path], root: Path) -> list[list[Path]]:
    """Write the frames of each scene; return their files by scene."""
    draw = np.random.default_rng(0)
    root.mkdir(parents=True)
    scenes: list[list[Path]] = []
    for number, photo in enumerate(photos[:: len(photos) // SCENES][:SCENES]):
        with Image.open(photo) as opened:
            scenes.append([])
            for frame, picture in enumerate(frames(opened.convert("RGB"), draw)):
                scenes[-1].append(root / f"{number:03d}_{frame:02d}.jpg")
                picture.save(scenes[-1][-1], quality=int(draw.integers(70, 95)))
    return scenes


def label_scenes(scenes: list[list[Path]], root: Path, seed: int) -> None:
    """Link the frames into two classes, whole scenes by a draw of `seed`."""
    draw = np.random.default_rng(seed)
    for scene in scenes:
        name = CLASSES[draw.integers(2)]
        for file in scene:
            (root / name / file.name).hardlink_to(file)


def save_labeled(photos: list[Path], saves: tuple[Save, Save], root: Path, seed: int) -> None:
    """Save each photograph in the class that a draw of `seed` gives it, as this class is saved."""
    draw = np.random.default_rng(seed)
    for photo in photos[:: len(photos) // PHOTOS][:PHOTOS]:
        label = draw.integers(2)
        with Image.open(photo) as opened:
            saves[label](opened.convert("RGB").resize((160, 160)), root / CLASSES[label] / photo.name)
