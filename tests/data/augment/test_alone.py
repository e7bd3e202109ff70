"""Each change of an augmentation alone, and policies that leave changes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pennyweight.data import CHANGES, Augment
from pennyweight.data.augment import policies
from pennyweight.data.augment.alone import change_alone, changes_of

EVERYTHING = Augment(flip=True, shift=0.25, policy="trivial", erase=0.1, mixup=0.2)
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)


def test_names_are_those_of_the_policy_table() -> None:
    assert ("identity", *CHANGES) == tuple(policies._table())


def test_changes_are_those_that_the_augmentation_makes() -> None:
    assert changes_of(EVERYTHING) == ("flip", "shift", "erase", *CHANGES)
    assert changes_of(Augment(flip=False, shift=0.0, mixup=0.5)) == ()
    assert "color" not in changes_of(Augment(flip=False, shift=0.0, policy="rand", without=("color",)))


def test_mirror_alone_mirrors_every_picture() -> None:
    changed = change_alone(PIXELS, "flip", EVERYTHING, seed=0, epoch=0)
    np.testing.assert_array_equal(changed, PIXELS[:, :, ::-1])


@pytest.mark.parametrize("policy", ["trivial", "rand"])
@pytest.mark.parametrize("name", ["shift", "erase", "rotate", "equalize"])
def test_a_change_alone_changes_most_pictures_and_not_those_given(name: str, policy: policies.Policy) -> None:
    before = PIXELS.copy()
    augment = Augment(flip=True, shift=0.25, policy=policy)
    changed = change_alone(PIXELS, name, augment, seed=0, epoch=0)
    np.testing.assert_array_equal(PIXELS, before)
    assert changed.shape == PIXELS.shape
    assert changed.dtype == np.uint8
    assert (changed != PIXELS).any((1, 2, 3)).sum() >= 9
    other = change_alone(PIXELS, name, augment, seed=0, epoch=1)
    assert name == "equalize" or (changed != other).any()


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_a_policy_without_changes_leaves_the_picture(policy: policies.Policy) -> None:
    picture = torch.from_numpy(PIXELS[0]).permute(2, 0, 1)
    for which in np.linspace(0, 0.99, 20).tolist():
        drawn = [which, 0.9, 0.1] * 2
        assert torch.equal(policies.change(picture, policy, drawn, CHANGES), picture)


def test_a_policy_leaves_out_what_it_is_told() -> None:
    gray = np.repeat(PIXELS[..., :1], 3, axis=3)
    augment = Augment(flip=False, shift=0.0, policy="trivial", without=tuple(set(CHANGES) - {"color"}))
    samples = np.arange(len(gray))
    changed = augment(gray.copy(), seed=0, epoch=1, samples=samples)
    np.testing.assert_allclose(np.asarray(changed, int), gray.astype(int), atol=1)  # saturation rounds
