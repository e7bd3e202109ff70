"""Preprocess: decode a picture and fit it into the array that the network sees, in training and serving alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from pennyweight.core import jpeg
from pennyweight.core.errors import InputError
from pennyweight.core.frame import Frame, Placed, Sides, Size, as_size, cover, fit_within, show_size, sides_of
from pennyweight.core.images import Pixels, decode_bands
from pennyweight.core.picture_content import AnyPicture, picture_content
from pennyweight.core.resample import resize
from pennyweight.core.settings import from_json
from pennyweight.core.sixteen_bit import Levels, checked

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Decoding", "Interpolation", "Preprocess"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LONGEST = 8
"""Largest ratio of a picture's sides to those of its frame that is resized whole; beyond it, the picture is cropped
before it is resized."""

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Decoding = Literal["full", "draft"]
SMALLEST_WITH_MARGIN = 96
"""Side in pixels from which on the usual preprocessing of a square crops the edges of a picture."""
NEWER: Mapping[str, Any] = {"levels": (), "frame": "crop"}
"""Fields that older files do not have, with the default that is not written."""
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Preprocessing of pictures: any picture -> (height, width, channels) uint8.

    By default the picture is resized (antialiased) until it just covers `resize`, then the center `size` is cropped.
    `frame` has other ways to fit a picture into the input. `mean` and `std` are per channel, for pixels in 0..1. The
    network's own step or graph applies them, not `Preprocess`, so that stored and sent pictures stay uint8.
    """

    size: Size
    """Size of the input: the side of a square, or (height, width)."""
    resize: Size
    """Size that the picture covers before its center is cropped; equal to `size` for the frame "pad"."""
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

    frame: Frame = "crop"
    """Way to fit a picture into the input. "crop": the picture covers `resize`, its shape is kept, and the center is
    cropped. "pad": the whole picture fits into `size`, its shape is kept, and the rest is `fill`. "stretch": the
    picture's two sides become those of `resize`, and the center is cropped."""
    max_pixels: int | None = field(default=None, compare=False)
    """Largest number of pixels of a picture, None for `core.images.MAX_PIXELS`; larger ones are refused. It changes no
    picture that is read, and is not stored with a network."""

    def __post_init__(self) -> None:
        if self.max_pixels is not None and self.max_pixels < 1:
            raise InputError(f"max_pixels must be at least 1, not {self.max_pixels}")
        for name in ("size", "resize"):
            object.__setattr__(self, name, as_size(getattr(self, name), f"preprocessing {name}"))
        if any(one < other for one, other in zip(self.resized, self.sides, strict=True)):
            sizes = f"size={show_size(self.size)}, resize={show_size(self.resize)}"
            raise InputError(f"preprocessing must resize to at least its size ({sizes})")
        if self.frame not in get_args(Frame):
            raise InputError(f"frame '{self.frame}' is not one of {', '.join(get_args(Frame))}")
        if self.frame == "pad" and self.resize != self.size:
            raise InputError(
                f"frame pad shows whole pictures, so resize must equal size ({show_size(self.size)}), not "
                f"{show_size(self.resize)}"
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
        cls,
        size: Size,
        *,
        channels: int = 3,
        crop_share: float = 0.875,
        decoding: Decoding = "full",
        frame: Frame = "crop",
    ) -> Preprocess:
        """Return the usual preprocessing for an input of `size` pixels, with ImageNet's mean and standard deviation.

        Args:
            size: Side of a square input in pixels, or (height, width).
            channels: Number of channels; unless it is 3, the average of ImageNet's values normalizes each.
            crop_share: Share of the resized short side that the center crop keeps, for squares of 96 pixels or more.
                Smaller squares, rectangles and other frames keep all of it.
            decoding: "full" or "draft".
            frame: "crop", "pad" or "stretch".
        """
        size = as_size(size)
        margin = frame == "crop" and isinstance(size, int) and size >= SMALLEST_WITH_MARGIN
        resize = round(sides_of(size)[0] / crop_share) if margin else size
        mean: tuple[float, ...] = IMAGENET_MEAN
        std: tuple[float, ...] = IMAGENET_STD
        if channels != 3:
            mean, std = ((round(sum(values) / 3, 3),) * channels for values in (mean, std))
        return cls(size=size, resize=resize, mean=mean, std=std, channels=channels, decoding=decoding, frame=frame)

    def at(self, size: Size, frame: Frame | None = None) -> Preprocess:
        """Return the same preprocessing for an input of `size` pixels and another `frame`.

        The crop keeps its share of the picture where shape and frame stay; another shape or frame keeps all of it.
        """
        size, frame = as_size(size), frame or self.frame
        alike = frame == self.frame and isinstance(size, int) == isinstance(self.size, int)
        resize = size
        if alike and frame != "pad":
            each = zip(sides_of(size), self.resized, self.sides, strict=True)
            resize = as_size([round(side * wide / narrow) for side, wide, narrow in each])
        return replace(self, size=size, resize=resize, frame=frame)

    @property
    def sides(self) -> Sides:
        """Return (height, width) of the input."""
        return sides_of(self.size)

    @property
    def resized(self) -> Sides:
        """Return `resize` as (height, width)."""
        return sides_of(self.resize)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the shape (H, W, C) of a preprocessed picture."""
        return (*self.sides, self.channels)

    @property
    def fill(self) -> tuple[int, ...]:
        """Return the color that fills the rest of a padded picture, 0 to 255 for each channel: the rounded `mean`.

        With neither 1 nor 3 channels the color is 114, ImageNet's average, because `fit` measures the mean of such
        pictures only after it has padded them.
        """
        mean = self.mean if self.channels in (1, 3) else self.for_input(self.size, channels=self.channels).mean
        return tuple(min(255, max(0, round(255 * value))) for value in mean)

    @property
    def pixels_key(self) -> str:
        """Return text that identifies the bytes of a preprocessed picture; `std` does not change them."""
        levels = "".join(f" {black}-{white}" for black, white in self.levels)
        frame = {"crop": "", "pad": f" pad {self.fill}", "stretch": " stretch"}[self.frame]
        sizes = f"{show_size(self.size)}/{show_size(self.resize)}"
        return f"{sizes} {self.interpolation} {self.channels} {self.decoding}{levels}{frame}"

    def __call__(self, picture: AnyPicture, *, name: str | None = None) -> Pixels:
        """Preprocess a picture: path, bytes, open file, array or Pillow image -> (height, width, channels) uint8.

        Raises ImageError, which calls the picture `name` if given; InputError for a value that is not a picture.
        """
        picture = picture_content(picture, name or "the picture")
        if isinstance(picture, bytes) and self.resize == self.size and self.max_pixels is None:
            whole = jpeg.decode_plain(picture, self.shape)
            if whole is not None:
                return whole
        least = jpeg.Least(*self.resized, either=self.frame == "pad") if self.decoding == "draft" else None
        images = decode_bands(
            picture,
            channels=self.channels,
            least=least,
            name=name,
            levels=self.levels,
            max_pixels=self.max_pixels,
        )
        fills = [self.fill] if len(images) == 1 else [(value,) for value in self.fill]
        pixels = [np.asarray(self._fit(image, fill), np.uint8) for image, fill in zip(images, fills, strict=True)]
        return (pixels[0] if len(pixels) == 1 else np.stack(pixels, axis=-1)).reshape(self.shape)

    def _fit(self, image: Image.Image, fill: tuple[int, ...]) -> Image.Image:
        """Fit a picture into the input."""
        (height, width), rule, picture = self.sides, _FILTERS[self.interpolation], (image.height, image.width)
        if self.frame == "pad":
            placed = fit_within(picture, self.sides)
            canvas = Image.new(image.mode, (width, height), fill if len(fill) > 1 else fill[0])
            canvas.paste(resize(image, placed.width, placed.height, rule), (-placed.left, -placed.top))
            return canvas
        placed = cover(self.resized if self.frame == "stretch" else picture, self.resized, self.sides)
        left, top = placed.left, placed.top
        if self.decoding == "full" and self._resizes_whole(placed):
            whole = resize(image, placed.width, placed.height, rule)
            return whole.crop((left, top, left + width, top + height))
        # Resizing only the cropped part is faster and bounds the memory of a 1×10,000 picture. "full" does not use it:
        # the edges of the part are rounded, so its pixels differ a little from those of published scores.
        across, down = image.width / placed.width, image.height / placed.height
        box = (left * across, top * down, (left + width) * across, (top + height) * down)
        return resize(image, width, height, rule, box)

    def _resizes_whole(self, placed: Placed) -> bool:
        """Return whether a picture is resized whole, because it is not much longer than its frame."""
        (height, width), frame = placed[:2], self.resized
        return height <= LONGEST * frame[0] and width <= LONGEST * frame[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, without `max_pixels` and without the defaults of NEWER ones."""
        kept = {name: value for name, value in asdict(self).items() if NEWER.get(name, ...) != value}
        del kept["max_pixels"]
        return kept

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Make a Preprocess from the values of `to_dict`, where JSON may have turned tuples into lists.

        Raises InputError for other fields or values.
        """
        return from_json(cls, values, what="preprocessing")
