"""Read `.npz` files: find the arrays of pictures and labels, and convert the pictures to 8 or 16 bits.

Unambiguous arrays are converted, with a note on each conversion. Other arrays are refused; the message gives the line
of NumPy that fixes them.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import SourceError
from pennyweight.core.reading import reading, require_plausible
from pennyweight.core.sixteen_bit import WHITE
from pennyweight.data.readers.arrays import Block, from_arrays
from pennyweight.data.readers.layout import SPLIT_NAMES
from pennyweight.data.source import Source, Split

__all__ = ["channels_come_first", "pictures_of_arrays", "read_npz"]

PICTURES = ("images", "x", "data", "pictures", "image", "imgs", "img", "pixels")
LABELS = ("labels", "y", "targets", "label", "target", "classes", "class")
NAMES = ("class_names", "label_names", "names")
NEEDED = (
    "it needs images and labels, or train_images, train_labels, test_images, test_labels: "
    "np.savez(file, images=…, labels=…)"
)
COLORS = (1, 3, 4)
FEWEST = 8
"""Fewest pixels on a side for which (N, 3, H, W) is read as channels first."""
CHANNELS_LAST = "np.transpose({key}, (0, 2, 3, 1))"


class _Found(NamedTuple):
    """Key of an array, and the split that the key names."""

    key: str
    split: Split | None


def read_npz(path: Path, *, name: str, address: str) -> Source:
    """Read the pictures of a `.npz` file: `images` and `labels`, or `train_images`, `train_labels`, `test_images`, ….

    `x` and `y` are accepted too, before or after the split's name (`x_train`). `class_names` names numbered classes.
    Raises SourceError for other keys or values.
    """
    arrays = _arrays(path)
    found = {
        meaning: dict(_find_keys(arrays, keys, path)) for meaning, keys in (("pictures", PICTURES), ("labels", LABELS))
    }
    splits = [split for split in found["pictures"] if split in found["labels"]]
    if not splits:
        raise SourceError(f"{path} has the arrays {', '.join(arrays) or 'none'}; {NEEDED}")
    keys = [found["pictures"][split] for split in splits]
    pictures, notes = pictures_of_arrays({key: arrays[key] for key in keys}, path)
    blocks = []
    for split, key in zip(splits, keys, strict=True):
        labels, label_notes = _labels(arrays[found["labels"][split]], found["labels"][split], len(pictures[key]), path)
        notes += label_notes
        blocks.append(Block(split, pictures[key], labels))
    names = next((key for key in arrays if key.lower() in NAMES), None)
    used = {*keys, *(found["labels"][split] for split in splits), names}
    if left := [key for key in arrays if key not in used]:
        notes.append(f"skipped the arrays {', '.join(left)}, which are not pictures with labels")
    labels_named = None if names is None else [_text(value) for value in arrays[names].reshape(-1).tolist()]
    return from_arrays(blocks, name=name, address=address, labels=labels_named, notes=tuple(dict.fromkeys(notes)))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with reading(f"{path} as arrays"), zipfile.ZipFile(path) as packed:
        require_plausible(sum(entry.file_size for entry in packed.infolist()), path.stat().st_size)
        files = [name for name in packed.namelist() if name.endswith(".npy")]
        return {name.removesuffix(".npy"): _array(packed, name, path) for name in files}


def _array(packed: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """Read one array. Raises ValueError, before memory is allocated, for an array shorter than its header declares."""
    key = name.removesuffix(".npy")
    with packed.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise SourceError(
            f"{key} of {path} holds Python objects, which can run code and are not read; save it as text or "
            f"numbers: {key}.astype(str)"
        )
    if math.prod(shape) * dtype.itemsize > packed.getinfo(name).file_size:
        raise ValueError(f"{key} is shorter than the {math.prod(shape) * dtype.itemsize:,} bytes of its header")
    with packed.open(name) as file:
        read: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return read


def _find_keys(arrays: Mapping[str, Any], keys: Sequence[str], path: Path) -> Iterator[tuple[Split | None, str]]:
    """Yield (split, key) of the arrays that `keys` name. Raises SourceError for two arrays of one split."""
    seen: dict[Split | None, str] = {}
    for key in arrays:
        words = key.lower().split("_")
        split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
        if "_".join(word for word in words if word not in SPLIT_NAMES) in keys:
            if split in seen:
                raise SourceError(f"{path} has {seen[split]} and {key}, which mean the same; keep one of them")
            seen[split] = key
            yield split, key


def pictures_of_arrays(arrays: Mapping[str, NDArray[Any]], path: object) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays as (N, H, W[, C]) uint8 or uint16, all scaled alike, and a line for each conversion."""
    notes = []
    made: dict[str, NDArray[Any]] = {}
    for key, array in arrays.items():
        made[key], note = _channels_last(array.astype(array.dtype.newbyteorder("="), copy=False), key, path)
        notes += [note] if note else []
    kinds = {array.dtype.kind for array in made.values()}
    if len({array.dtype for array in made.values()}) > 1:
        types = " and ".join(f"{key} {array.dtype}" for key, array in made.items())
        raise SourceError(f"{path} holds {types}; save both as uint8")
    if all(array.dtype in (np.uint8, np.uint16) for array in made.values()):
        return made, notes
    key, kind = next(iter(made)), next(iter(made.values())).dtype
    if not kinds <= set("biuf"):
        raise SourceError(f"{key} of {path} is {kind}; pictures are numbers: uint8, uint16, or floats in 0..1")
    least = min(float(array.min()) for array in made.values())
    tops = {key: float(array.max()) for key, array in made.items()}
    most = max(tops.values())
    _require_one_range(tops, 1 if kinds == {"f"} else 255, path)
    factor = 255 if kinds == {"b"} or (kinds == {"f"} and most <= 1) else 1
    if not (least >= 0 and most <= WHITE):  # NaN fails both
        raise SourceError(
            f"{key} of {path} holds values from {least:g} to {most:g}, so black and white are unknown; save it as "
            f"uint8: np.uint8(255 * ({key} - {key}.min()) / np.ptp({key}))"
        )
    wide = factor * most > 255
    if wide and "f" in kinds and any((array != np.round(array)).any() for array in made.values()):
        raise SourceError(f"{key} of {path} holds fractions up to {most:g}; floats are in 0..1 or in 0..255")
    to = "0..65535" if wide else "0..1" if factor > 1 else "0..255"
    notes.append(f"{', '.join(made)}: {kind} values from {least:g} to {most:g} are read as the range {to}")
    kept = np.uint16 if wide else np.uint8
    for key, array in made.items():
        scaled = array * np.float32(factor) if array.dtype.kind in "bf" else array
        made[key] = (np.round(scaled) if scaled.dtype.kind == "f" else scaled).astype(kept)
    return made, notes


def _require_one_range(tops: Mapping[str, float], bound: int, path: object) -> None:
    """Raise SourceError where the largest values of two arrays tell of unlike ranges; a black array tells of none."""
    low = [key for key, top in tops.items() if 0 < top <= bound]
    high = [key for key, top in tops.items() if top > bound]
    if low and high:
        raise SourceError(
            f"{low[0]} of {path} holds values up to {tops[low[0]]:g} and {high[0]} up to {tops[high[0]]:g}, which are "
            f"unlike ranges; save both as uint8"
        )


def channels_come_first(shape: Sequence[int]) -> bool:
    """Return whether pictures of shape (N, C, H, W), rather than (N, H, W, C), are likely."""
    return shape[3] not in COLORS and shape[1] in COLORS and min(shape[2:]) >= FEWEST


def _channels_last(array: NDArray[Any], key: str, path: object) -> tuple[NDArray[Any], str | None]:
    """Return (N, H, W[, C]), and a line if the channels came first."""
    shape = array.shape
    if array.ndim == 2 and array.size:
        raise SourceError(f"{key} of {path} is flat, {shape}; give it sides: {key}.reshape({_sides(*shape)})")
    if array.ndim not in (3, 4) or 0 in shape:
        raise SourceError(f"{key} of {path} is {array.dtype} {shape}; pictures are uint8 (N, H, W) or (N, H, W, C)")
    if array.ndim == 3 or shape[3] in COLORS:
        return array, None
    if channels_come_first(shape):
        return np.ascontiguousarray(
            np.moveaxis(array, 1, -1)
        ), f"{key} is {shape}: its channels come first, and are moved to the last axis"
    if shape[2] == shape[3] > shape[1]:
        raise SourceError(
            f"{key} of {path} is {shape}, which would be {shape[3]} bands of {shape[1]}×{shape[2]} pixels; if its "
            f"channels come first, save {CHANNELS_LAST.format(key=key)}"
        )
    if shape[0] == shape[1] != shape[2] and shape[2] in COLORS:
        raise SourceError(f"{key} of {path} is {shape}: its pictures come last; save np.transpose({key}, (3, 0, 1, 2))")
    return array, None


def _sides(count: int, values: int) -> str:
    """Return the likely shape of flat pictures as text, such as "-1, 32, 32, 3"."""
    for channels in (1, 3, 4):
        side = round((values / channels) ** 0.5)
        if side * side * channels == values:
            return f"-1, {side}, {side}" + (f", {channels}" if channels > 1 else "")
    return "-1, HEIGHT, WIDTH, CHANNELS"


def _labels(array: NDArray[Any], key: str, count: int, path: Path) -> tuple[NDArray[Any], list[str]]:
    """Return the class of each picture, (N,), and a line for each conversion. Raises SourceError for other shapes."""
    notes = []
    if array.ndim == 2 and 1 not in array.shape and len(array) == count and array.dtype.kind in "biuf":
        if not (((array == 0) | (array == 1)).all() and (array.sum(1, dtype=np.float64) == 1).all()):
            raise SourceError(
                f"{key} of {path} is {array.shape} and not one-hot: a picture has one class; to take the largest "
                f"value, save np.argmax({key}, axis=1)"
            )
        notes.append(f"{key} is one-hot, {array.shape}: the class of a picture is the index of its column")
        array = array.argmax(1)
    if array.size != count or max(array.shape, default=0) != count:
        raise SourceError(f"{path} has {count} pictures and labels of shape {array.shape} in {key}; each needs one")
    array = array.reshape(-1)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array == np.round(array)).all()):
            wrong = array[~(np.isfinite(array) & (array == np.round(array)))][0]
            raise SourceError(f"{key} of {path} holds {wrong}; a label is a whole number or a name")
        array = array.astype(np.int64)
    if array.dtype.kind == "S":
        array = np.array([_text(value) for value in array.tolist()])
    if array.dtype.kind not in "biuU":
        raise SourceError(f"{key} of {path} is {array.dtype}; a label is a whole number or a name")
    return array, notes


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
