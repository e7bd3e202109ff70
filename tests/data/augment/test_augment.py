"""Mirroring and shifting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pennyweight.core.frame import Sides
from pennyweight.data import Augment

SIDE = 16


@pytest.fixture
def pixels(noise) -> np.ndarray:
    return np.stack([noise(SIDE, SIDE + 4, seed=seed) for seed in range(64)])


def augmented(pixels: np.ndarray, *, flip: bool, shift: float, seed: int = 0, epoch: int = 1) -> np.ndarray:
    numbers = np.arange(len(pixels))
    return Augment(flip=flip, shift=shift)(pixels, seed=seed, epoch=epoch, samples=numbers)


def test_nothing_changes_when_off(pixels: np.ndarray) -> None:
    assert np.array_equal(augmented(pixels, flip=False, shift=0.0), pixels)


def test_a_flip_only_mirrors_about_half(pixels: np.ndarray) -> None:
    out = augmented(pixels, flip=True, shift=0.0)
    same = (out == pixels).all((1, 2, 3))
    mirrored = (out == pixels[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_a_picture_is_mirrored_every_other_epoch(pixels: np.ndarray) -> None:
    first, second, third = (augmented(pixels, flip=True, shift=0.0, epoch=epoch) for epoch in (1, 2, 3))
    assert np.array_equal(second, first[:, :, ::-1])
    assert np.array_equal(third, first)


def moves(pixels: np.ndarray, out: np.ndarray, most: int) -> list[tuple[int, int]]:
    """The (down, across) by which each picture was moved with its edges repeated."""
    found = []
    for before, after in zip(pixels, out, strict=True):
        height, width, _ = before.shape
        padded = np.pad(before, ((most, most), (most, most), (0, 0)), mode="edge")
        found += [
            (down - most, across - most)
            for down in range(2 * most + 1)
            for across in range(2 * most + 1)
            if np.array_equal(padded[down : down + height, across : across + width], after)
        ]
    return found


def test_a_shift_moves_by_up_to_its_share_and_repeats_edges(pixels: np.ndarray) -> None:
    found = moves(pixels, augmented(pixels, flip=False, shift=0.125), most=4)
    assert len(found) == len(pixels)  # each is one of the moves
    downs, across = (set(direction) for direction in zip(*found, strict=True))
    assert downs == {-2, -1, 0, 1, 2}  # an eighth of 16, the shorter side
    assert across == {-2, -1, 0, 1, 2}


def test_a_long_picture_moves_by_a_share_of_its_shorter_side() -> None:
    long = np.random.default_rng(0).integers(0, 256, (64, 8, 40, 3), np.uint8)
    for each, turned in ((long, False), (long.swapaxes(1, 2).copy(), True)):
        found = moves(each, augmented(each, flip=False, shift=0.25), most=5)
        assert len(found) == len(each), turned
        assert {max(abs(down), abs(across)) for down, across in found} == {0, 1, 2}
        assert {abs(down) for down, _ in found} == {abs(across) for _, across in found} == {0, 1, 2}


def test_directions_are_drawn_apart(pixels: np.ndarray) -> None:
    found = moves(pixels, augmented(pixels, flip=False, shift=0.125), most=2)
    assert len(set(found)) > 15


def test_another_epoch_or_seed_changes_otherwise(pixels: np.ndarray) -> None:
    base = augmented(pixels, flip=True, shift=0.125)
    assert np.array_equal(base, augmented(pixels, flip=True, shift=0.125))
    assert not np.array_equal(base, augmented(pixels, flip=True, shift=0.125, epoch=2))
    assert not np.array_equal(base, augmented(pixels, flip=True, shift=0.125, seed=1))


def test_a_sample_is_changed_alike_in_any_batch(pixels: np.ndarray) -> None:
    augment = Augment(flip=True, shift=0.25)
    whole = augment(pixels, seed=3, epoch=4, samples=np.arange(64))
    some = np.array([40, 2, 63])
    assert np.array_equal(augment(pixels[some], seed=3, epoch=4, samples=some), whole[some])


def test_the_original_is_left_alone(pixels: np.ndarray) -> None:
    before = pixels.copy()
    out = augmented(pixels, flip=True, shift=0.25)
    assert out.dtype == np.uint8
    assert out.shape == pixels.shape
    assert np.array_equal(pixels, before)


def varied(count: int = 24, sides: Sides = (20, 20)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *sides, 3), dtype=np.uint8)


EVERYTHING = Augment(flip=True, shift=0.25, policy="trivial", erase=0.5, mixup=0.4, cutmix=1.0)


def changed(augment: Augment, pixels, numbers: np.ndarray, **options: Any):
    return augment(pixels, seed=3, epoch=2, samples=numbers, **options)


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_a_policy_changes_each_picture_by_its_own_draw(policy: str) -> None:
    pixels = varied(96)
    augment = Augment(flip=False, shift=0.0, policy=policy, erase=0.3)
    whole = changed(augment, pixels.copy(), np.arange(96))
    parts = [changed(augment, pixels[part].copy(), part) for part in np.array_split(np.arange(96)[::-1], 7)]
    assert np.array_equal(whole, np.concatenate(parts)[::-1])
    assert 60 < (whole != pixels).any((1, 2, 3)).sum() <= 96
    other = augment(pixels.copy(), seed=3, epoch=3, samples=np.arange(96))
    assert (other != whole).any((1, 2, 3)).sum() > 60


def test_each_change_of_the_table_is_torchvisions() -> None:
    import torch
    from torchvision.transforms import v2

    from pennyweight.data.augment.policies import _table

    trivial, rand = v2.TrivialAugmentWide._AUGMENTATION_SPACE, v2.RandAugment._AUGMENTATION_SPACE
    names = dict(zip(_table(), trivial, strict=True))
    pixels = torch.from_numpy(varied(1, (64, 64))).permute(0, 3, 1, 2)[0]
    peer = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.NEAREST)
    for ours, theirs in names.items():
        row = _table()[ours]
        for space, strongest in ((trivial, row.wide), (rand, row.usual)):
            magnitudes, signed = space[theirs]
            assert signed == row.signed
            amounts = magnitudes(31, 64, 64)
            if amounts is None or theirs == "Identity":
                continue
            for bin_ in (30, 15, 9):
                amount = float(amounts[bin_])
                mine = row.apply(pixels, bin_ / 30 * strongest)
                expected = peer._apply_image_or_video_transform(pixels, theirs, amount, peer.interpolation, peer._fill)
                if theirs == "Posterize" and int(amount) != 8 - round(bin_ / 30 * strongest):
                    continue  # its own rounding of a half
                if theirs.startswith("Translate") and space is trivial:
                    continue  # in pixels of 224 there, as a share here
                assert (mine.int() - expected.int()).abs().float().mean() < 1.5, (theirs, bin_)


def test_a_box_is_erased_in_some() -> None:
    pixels = np.zeros((200, 16, 16, 3), np.uint8)
    out = changed(Augment(flip=False, shift=0.0, erase=0.25), pixels, np.arange(200))
    shares = (out == 128).all(-1).mean((1, 2))
    assert 30 < (shares > 0).sum() < 70
    assert shares.max() <= 0.45


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_mixtures_are_of_the_next_picture_by_the_share_that_is_told(mixup: float, cutmix: float) -> None:
    pixels = np.zeros((64, 16, 16, 3), np.uint8)
    pixels[::2] = 255
    targets = np.arange(64)
    augment = Augment(flip=False, shift=0.0, mixup=mixup, cutmix=cutmix)
    out, mixed = augment.mix(pixels, targets, seed=0, epoch=1, samples=targets)
    assert mixed is not None
    assert mixed.targets.tolist() == [*range(1, 64), 0]
    bright = out.mean((1, 2, 3)) / 255
    own = np.where(targets % 2 == 0, bright, 1 - bright)
    assert own == pytest.approx(mixed.share, abs=0.004)
    assert mixed.share.std() > 0.05
    pasted = np.isin(out, (0, 255)).all((1, 2, 3)) & (mixed.share < 0.999) & (mixed.share > 0.001)
    assert pasted.any() == bool(cutmix)


def test_without_mixing_nothing_is_mixed() -> None:
    pixels = varied(4)
    out, mixed = Augment(flip=True, shift=0.1).mix(pixels, np.arange(4), seed=0, epoch=0, samples=np.arange(4))
    assert out is pixels
    assert mixed is None


@pytest.mark.parametrize(
    ("sides", "size", "edge"),
    [
        ((20, 20), None, (0, 0)),
        ((20, 20), (16, 16), (0, 0)),
        ((30, 30), (20, 20), (5, 5)),
        ((140, 140), (120, 120), (0, 0)),
        ((12, 40), None, (0, 0)),
        ((60, 120), None, (0, 0)),
        ((130, 110), None, (0, 0)),
        ((16, 40), (12, 40), (0, 0)),
        ((20, 50), (12, 40), (2, 5)),
    ],
)
def test_an_accelerator_gives_the_same_bytes(sides: Sides, size: Sides | None, edge: Sides) -> None:
    """The tensor path, on the processor here; on a device it is the same arithmetic on whole numbers."""
    import torch

    from pennyweight.data.augment.crops import padded

    pixels, numbers = varied(24, sides), np.arange(24)
    reach = (0, 0) if any(edge) or size else EVERYTHING.edges(sides)
    tensor = torch.from_numpy(padded(pixels, reach))
    ours = changed(EVERYTHING, pixels, numbers, size=size, edge=edge)
    theirs = changed(EVERYTHING, tensor, numbers, size=size, edge=edge if any(edge) else reach)
    assert np.array_equal(ours, theirs.numpy())
    mixed = [EVERYTHING.mix(one, numbers, seed=0, epoch=0, samples=numbers) for one in (ours, theirs)]
    assert np.array_equal(mixed[0][0], mixed[1][0].numpy())
    assert np.array_equal(mixed[0][1].share, mixed[1][1].share)


def test_a_margin_is_moved_within() -> None:
    pixels = varied(300, (20, 20))
    out = changed(Augment(flip=False, shift=0.5), pixels, np.arange(300), size=(16, 16))
    found = set()
    for before, after in zip(pixels, out, strict=True):
        places = [(d, a) for d in range(5) for a in range(5) if np.array_equal(before[d : d + 16, a : a + 16], after)]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) == 25
    assert np.array_equal(
        changed(Augment(flip=False, shift=0.0), pixels, np.arange(300), size=(16, 16)), pixels[:, 2:18, 2:18]
    )
