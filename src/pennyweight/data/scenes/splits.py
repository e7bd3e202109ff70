"""Training, validation and test pixels of a scene: at random, as papers do, or in blocks with a guard between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.boxes import count_in_windows
from pennyweight.core.errors import InputError, SourceError

__all__ = ["SceneSplit", "SplitKind", "split_scene", "take_validation"]

SplitKind = Literal["random", "blocks"]
VAL_SHARE = 0.1
"""Share of a class's training pixels that validate; at least one pixel."""
FEWEST = 2
"""Fewest training pixels of a class: one to learn from, one for validation."""
LAYOUTS = 24
"""Number of layouts of blocks to draw for each form; the best one is taken."""

Flat = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneSplit:
    """Pixels of each part by their flat index into (H, W), in ascending order."""

    kind: SplitKind | Literal["fixed"]
    """Rule that found the parts; fixed: maps of training and test pixels."""
    train: Flat
    val: Flat
    test: Flat
    guard: int
    """Number of labeled pixels in no part: too near to a training pixel, or beyond the training share."""
    left_out: tuple[int, ...]
    """Classes that are not scored, because they do not lie on both sides of the guard, or have no training pixel."""

    @property
    def share(self) -> Flat:
        """Return the training share: training and validation pixels, which no test window may hold."""
        return np.union1d(self.train, self.val)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of pixels in each part."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test)}

    def notes(self, labels: tuple[str, ...], truth: NDArray[np.int16]) -> list[str]:
        """Return lines for the user: sizes of the parts, and classes that are not scored."""
        lines = [f"split {self.kind}: " + ", ".join(f"{count:,} {part}" for part, count in self.counts.items())]
        counts = np.bincount(truth[truth >= 0], minlength=len(labels))
        if self.kind == "fixed":
            if self.guard:
                lines.append(f"{self.guard:,} labeled pixels are in no part")
            lines += [f"'{labels[kind]}' has no training pixel, and is not scored" for kind in self.left_out]
            return lines
        if self.guard:
            lines.append(f"{self.guard:,} labeled pixels are in no part, most of them between training and test")
        lines += [
            f"'{labels[kind]}' ({counts[kind]:,} pixels) does not lie on both sides of the guard, and is not scored"
            for kind in self.left_out
        ]
        return lines


def split_scene(
    truth: NDArray[np.int16], labels: tuple[str, ...], *, kind: SplitKind, train: float, window: int, seed: int
) -> SceneSplit:
    """Split the labeled pixels of a scene.

    Args:
        truth: (H, W) classes; a negative number is unlabeled.
        labels: Names of the classes.
        kind: "random" (pixels anywhere) or "blocks" (no window of a test pixel holds a pixel of the training share).
        train: Below 1 a share of each class, else a number of pixels of each class; validation is a part of it.
        window: Side of a window in pixels, odd.
        seed: Equal seeds give equal splits.

    Raises:
        InputError: An unknown kind, an even window, or a `train` that some class cannot give.
        SourceError: Blocks leave fewer than two classes to score.
    """
    if kind not in get_args(SplitKind):
        raise InputError(f"unknown split '{kind}'; there are {', '.join(get_args(SplitKind))}")
    if window < 1 or window % 2 == 0:
        raise InputError(f"a window has a middle pixel: its side must be odd, not {window}; {window + 1} would do")
    height, width = truth.shape
    if kind == "blocks" and window > min(height, width):
        raise InputError(
            f"a window of {window} is larger than the scene of {height}×{width}; take at most "
            f"{(min(height, width) - 1) // 2 * 2 + 1}"
        )
    needed = _needed(np.bincount(truth[truth >= 0], minlength=len(labels)), train, labels, kind)
    draw = np.random.default_rng([seed, 20])
    if kind == "random":
        return _random(truth.ravel(), needed, draw)
    return _blocks(truth, needed, window, draw, labels)


def _needed(counts: NDArray[np.int64], train: float, labels: tuple[str, ...], kind: SplitKind) -> NDArray[np.int64]:
    """Return the training pixels of each class: at least FEWEST, and one fewer than all, so that one is left to score.

    With blocks, a class that is too small for any split is left out of the scores instead of being refused.
    """
    if not train > 0 or (train >= 1 and train != round(train)):
        raise InputError(f"--train must be a share between 0 and 1, or a count of pixels per class, not {train:g}")
    for label, count in zip(labels, counts, strict=True):
        if kind == "blocks" and count <= FEWEST:
            continue
        if count <= FEWEST or (train >= 1 and count <= train):
            least = FEWEST + 1 if train < 1 else int(max(train, FEWEST)) + 1
            most = (
                f"; --train {int(count) - 1} is the most"
                if count > FEWEST
                else "; --split blocks leaves it out of the scores"
            )
            raise InputError(
                f"class '{label}' has {count} labeled pixels, and --train {train:g} needs at least {least}{most}"
            )
    wanted = np.round(counts * train) if train < 1 else np.full(len(counts), train)
    needed: NDArray[np.int64] = np.clip(wanted, FEWEST, np.maximum(counts - 1, FEWEST)).astype(np.int64)
    return needed


def _random(truth: NDArray[np.int16], needed: NDArray[np.int64], draw: np.random.Generator) -> SceneSplit:
    shares = [draw.permutation(np.flatnonzero(truth == kind))[:count] for kind, count in enumerate(needed)]
    test = np.setdiff1d(np.flatnonzero(truth >= 0), np.concatenate(shares))
    learn, select = take_validation(shares)
    return SceneSplit(kind="random", train=learn, val=select, test=test, guard=0, left_out=())


def take_validation(shares: list[Flat]) -> tuple[Flat, Flat]:
    """Take validation pixels from the start of each class's share, which is in drawn order; return (train, val)."""
    cuts = [max(1, round(VAL_SHARE * len(share))) if len(share) >= FEWEST else 0 for share in shares]
    learn = [share[cut:] for share, cut in zip(shares, cuts, strict=True)]
    select = [share[:cut] for share, cut in zip(shares, cuts, strict=True)]
    return np.sort(np.concatenate(learn)), np.sort(np.concatenate(select))


class _Layout(NamedTuple):
    """Division of a scene into cells, some of them for training."""

    shares: list[Flat]
    test: Flat
    scored: NDArray[np.bool_]
    worth: tuple[int, float]


def _blocks(
    truth: NDArray[np.int16],
    needed: NDArray[np.int64],
    window: int,
    draw: np.random.Generator,
    labels: tuple[str, ...],
) -> SceneSplit:
    """Draw layouts of several forms; take the layout that scores most classes, then most pixels."""
    height, width = truth.shape
    sides = (window // 2 + 1, window, 2 * window, 3 * window)
    forms = [form for side in sides for form in ((side, side), (side, width), (height, side))]
    drawn = (_layout(truth, needed, window, form, draw) for form in forms for _ in range(LAYOUTS))
    best = max(drawn, key=lambda layout: layout.worth)
    if best.scored.sum() < 2:
        raise SourceError(
            f"blocks with a guard of {window // 2} pixels leave fewer than two classes on both sides; take a smaller "
            "window, another --train, or --split random, whose score means less"
        )
    learn, select = take_validation(best.shares)
    labeled = int((truth >= 0).sum())
    return SceneSplit(
        kind="blocks",
        train=learn,
        val=select,
        test=best.test,
        guard=labeled - len(learn) - len(select) - len(best.test),
        left_out=tuple(int(kind) for kind in np.flatnonzero(~best.scored)),
    )


def _layout(
    truth: NDArray[np.int16], needed: NDArray[np.int64], window: int, form: tuple[int, int], draw: np.random.Generator
) -> _Layout:
    """Divide the scene into cells of `form` from a drawn corner; add cells to training until each class has enough."""
    height, width = truth.shape
    top, left = (int(draw.integers(0, side)) for side in form)
    rows, cols = (np.arange(height) + top) // form[0], (np.arange(width) + left) // form[1]
    cells = rows[:, None] * (cols[-1] + 1) + cols
    labeled = truth >= 0
    classes = len(needed)
    counts = np.zeros((int(cells.max()) + 1, classes), np.int64)
    np.add.at(counts, (cells[labeled], truth[labeled]), 1)
    taken = _take_cells(counts, needed, draw)
    inside = taken[cells].ravel()
    flat = truth.ravel()
    shares = [draw.permutation(np.flatnonzero((flat == kind) & inside))[:count] for kind, count in enumerate(needed)]
    centers = np.zeros(height * width, bool)
    centers[np.concatenate(shares)] = True
    free = (count_in_windows(centers.reshape(height, width), window) == 0).ravel()
    test = np.flatnonzero((flat >= 0) & ~inside & free)
    have = np.array([len(share) for share in shares])
    left_over = np.bincount(flat[test], minlength=classes)
    scored = (have >= FEWEST) & (left_over > 0)
    test = test[scored[flat[test]]]
    totals = counts.sum(axis=0)
    # A class counts by the smaller of its shares of training and of test pixels.
    balance = np.minimum(have / needed, left_over / np.maximum(totals - needed, 1))
    return _Layout(shares, test, scored, (int(scored.sum()), float(np.sqrt(balance).sum())))


def _take_cells(counts: NDArray[np.int64], needed: NDArray[np.int64], draw: np.random.Generator) -> NDArray[np.bool_]:
    """Choose cells for training: repeatedly a random cell of the class that lacks most, but never its last cell."""
    taken = np.zeros(len(counts), bool)
    have = np.zeros(len(needed), np.int64)
    stuck = np.zeros(len(needed), bool)
    while True:
        lack = np.where(stuck, 0.0, 1 - have / needed)
        kind = int(lack.argmax())
        if lack[kind] <= 0:
            return taken
        cells = np.flatnonzero(~taken & (counts[:, kind] > 0))
        if len(cells) < 2:
            stuck[kind] = True
            continue
        cell = int(draw.choice(cells, p=counts[cells, kind] / counts[cells, kind].sum()))
        taken[cell] = True
        have += counts[cell]
