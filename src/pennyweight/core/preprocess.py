"""Preprocess: decode, resize and crop a picture to the array that the network sees, in training and serving alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from pennyweight.core import jpeg
from pennyweight.core.errors import InputError
from pennyweight.core.images import Picture, Pixels, decode_bands
from pennyweight.core.settings import from_json
from pennyweight.core.sixteen_bit import Levels, checked

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Decoding", "Interpolation", "Preprocess"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LONGEST = 8
"""Largest ratio of a picture's sides that is resized whole; beyond it, the picture is cropped before it is resized."""

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Decoding = Literal["full", "draft"]
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Preprocessing of pictures: any picture -> (size, size, channels) uint8.

    The short side is resized to `resize` pixels (antialiased), then the center `size`×`size` is cropped.
    `mean` and `std` are per channel, for pixels in 0..1. The network's own step or graph applies them,
    not `Preprocess`, so that stored and sent pictures stay uint8.
    """

    size: int
    resize: int
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: int = 3
    decoding: Decoding = "full"
    """Amount of decoding. "full" decodes and resizes the whole picture, as for the scores of published weights. "draft"
    decodes a JPEG at the smallest of 1, 1/2, 1/4 and 1/8 whose short side is at least `resize`, and resizes only the
    cropped part of any picture: several times as fast on large photographs, with other bytes."""
    levels: Levels = ()
    """(black, white) values of 16-bit pictures that become 0 and 255: one pair, or a pair for each band. Without pairs
    the upper byte of each value is kept. 8-bit pictures do not change."""

    max_pixels: int | None = field(default=None, compare=False)
    """Largest number of pixels of a picture, None for `core.images.MAX_PIXELS`; larger ones are refused. It changes no
    picture that is read, and is not stored with a network."""

    def __post_init__(self) -> None:
        if self.max_pixels is not None and self.max_pixels < 1:
            raise InputError(f"max_pixels must be at least 1, not {self.max_pixels}")
        if self.size < 1 or self.resize < self.size:
            raise InputError(
                f"preprocessing must resize to at least its size of 1 or more (size={self.size}, resize={self.resize})"
            )
        if self.interpolation not in get_args(Interpolation):
            raise InputError(f"interpolation '{self.interpolation}' is not one of {', '.join(get_args(Interpolation))}")
        if self.decoding not in get_args(Decoding):
            raise InputError(f"decoding '{self.decoding}' is not one of {', '.join(get_args(Decoding))}")
        if self.channels < 1:
            raise InputError(f"a picture has at least 1 channel, not {self.channels}")
        if not len(self.mean) == len(self.std) == self.channels:
            raise InputError(
                f"mean and std need one value for each of the {self.channels} channels, not {self.mean}, {self.std}"
            )
        if not all(deviation > 0 for deviation in self.std):
            raise InputError(f"every value of std must be above 0, not {self.std}")
        try:
            object.__setattr__(self, "levels", checked(self.levels, self.channels))
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from error

    @classmethod
    def for_input(
        cls, size: int, *, channels: int = 3, crop_share: float = 0.875, decoding: Decoding = "full"
    ) -> Preprocess:
        """Return the usual preprocessing for an input of `size` pixels, with ImageNet's mean and standard deviation.

        Args:
            size: Side of the input in pixels; below 96 the whole picture is resized to it.
            channels: Number of channels; unless it is 3, the average of ImageNet's values normalizes each.
            crop_share: Share of the resized short side that the center crop keeps, for inputs of 96 pixels or more.
            decoding: "full" or "draft".
        """
        resize = size if size < 96 else round(size / crop_share)
        if channels == 3:
            return cls(size=size, resize=resize, decoding=decoding)
        mean, std = (round(sum(values) / 3, 3) for values in (IMAGENET_MEAN, IMAGENET_STD))
        return cls(
            size=size,
            resize=resize,
            mean=(mean,) * channels,
            std=(std,) * channels,
            channels=channels,
            decoding=decoding,
        )

    def at(self, size: int) -> Preprocess:
        """Return the same preprocessing for an input of `size` pixels, with the same share of the picture."""
        return replace(self, size=size, resize=round(size * self.resize / self.size))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the shape (H, W, C) of a preprocessed picture."""
        return (self.size, self.size, self.channels)

    @property
    def pixels_key(self) -> str:
        """Return text that identifies the bytes of a preprocessed picture; `mean` and `std` do not change them."""
        levels = "".join(f" {black}-{white}" for black, white in self.levels)
        return f"{self.size}/{self.resize} {self.interpolation} {self.channels} {self.decoding}{levels}"

    def __call__(self, picture: Picture, *, name: str | None = None) -> Pixels:
        """Preprocess a picture: a path, bytes, an array or a Pillow image -> (size, size, channels) uint8.

        Raises ImageError, which calls the picture `name` if that is given.
        """
        if isinstance(picture, bytes) and self.resize == self.size and self.max_pixels is None:
            whole = jpeg.decode_plain(picture, self.shape)
            if whole is not None:
                return whole
        least = self.resize if self.decoding == "draft" else None
        images = decode_bands(
            picture,
            channels=self.channels,
            least=least,
            name=name,
            levels=self.levels,
            max_pixels=self.max_pixels,
        )
        pixels = [np.asarray(self._fit(image), dtype=np.uint8) for image in images]
        return (pixels[0] if len(pixels) == 1 else np.stack(pixels, axis=-1)).reshape(self.shape)

    def _fit(self, image: Image.Image) -> Image.Image:
        """Resize and crop a picture to (size, size)."""
        short = min(image.size)
        # Sizes and offsets are rounded as torchvision rounds them, to reproduce the scores of published weights.
        width, height = (self.resize if side == short else self.resize * side // short for side in image.size)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        rule = _FILTERS[self.interpolation]
        if self.decoding == "full" and max(image.size) <= LONGEST * short:
            return image.resize((width, height), rule).crop((left, top, left + self.size, top + self.size))
        # Resizing only the cropped part is faster and bounds the memory of a 1×10,000 picture. "full" does not use it:
        # Pillow chooses the order of its passes by shape, so it would round differently from published scores.
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
        return image.resize((self.size, self.size), rule, box=box)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, without `max_pixels` and, as in older files, without empty `levels`."""
        kept = {name: value for name, value in asdict(self).items() if name != "levels" or value}
        del kept["max_pixels"]
        return kept

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Make a Preprocess from the values of `to_dict`, where JSON may have turned tuples into lists.

        Raises InputError for other fields or values.
        """
        return from_json(cls, values, what="preprocessing")
