"""Each change of an augmentation alone, on every picture: what the labels must survive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pennyweight.core.images import Pixels
from pennyweight.data.augment.augment import Augment
from pennyweight.data.augment.policies import CHANGES

__all__ = ["change_alone", "changes_of"]

IDENTITY = "identity"


def changes_of(augment: Augment) -> tuple[str, ...]:
    """Return the names of the changes: fields of the recipe, and those of its policy."""
    fields = {"flip": augment.flip, "shift": augment.shift, "erase": augment.erase}
    of_policy = () if augment.policy == "none" else CHANGES
    return tuple(filter(fields.get, fields)) + tuple(name for name in of_policy if name not in augment.without)


def change_alone(pixels: Pixels, name: str, augment: Augment, *, seed: int, epoch: int) -> Pixels:
    """Apply one change to every picture, as strongly as the augmentation draws it. (B, H, W, C) uint8 -> same."""
    if name == "flip":  # which an epoch applies to every other picture
        return np.ascontiguousarray(pixels[:, :, ::-1])
    off = Augment(flip=False, shift=0.0)
    if name in CHANGES:
        others = (IDENTITY, *(other for other in CHANGES if other != name))
        one = replace(off, policy=augment.policy, without=others)
    else:
        one = replace(off, shift=augment.shift) if name == "shift" else replace(off, erase=1.0)
    changed = one(pixels.copy(), seed=seed, epoch=epoch, samples=np.arange(len(pixels)))
    return np.asarray(changed)
