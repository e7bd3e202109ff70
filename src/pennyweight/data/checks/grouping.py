"""Propose a `--group-by` where names, folders, times or cameras of pictures form groups that lie in training and test.

Names count only if the pictures of a group look more alike than those of different groups: the number in `IMG_0042.jpg`
says nothing, the one in `scene_012_frame_07.jpg` names a scene. Times and cameras count by themselves.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.figures import share
from pennyweight.core.text import composed
from pennyweight.data.checks.glance import Glances
from pennyweight.data.exif_groups import time_groups
from pennyweight.data.groups import FOLDER, group_names
from pennyweight.data.source import Source
from pennyweight.data.splits import split

__all__ = ["Proposal", "propose_groups"]

Groups = Sequence[str | None]
"""Group of each sample; None for a sample that stays alone."""

NAMES = (
    r"([^/0-9]*[0-9]+)[^/]*$",  # up to the first number: scene_012 of scene_012_frame_07.jpg
    r"([^/0-9]*[0-9]+[^/0-9]+[0-9]+)[^/]*$",  # up to the second
    r"([^/_. -]+)[_ -][^/]*$",  # up to the first separator: kitchen of kitchen-0007.jpg
    r"([^/_. -]+[_ -][^/_. -]+)[_ -][^/]*$",  # up to the second
    r"([^/]+)[_ .(-]+[0-9]+\)?\.[^/.]+$",  # up to the last number: living_room of living_room (7).jpg
    r"([^/]*[^/0-9])[0-9]+\.[^/.]+$",  # the same without a separator: kitchen of kitchen07.jpg
)
"""Patterns of names whose first group may be a group of pictures, within all classes or, with the folder, in each."""
GAP_MINUTES = 10
TIME = f"exif:DateTimeOriginal@{GAP_MINUTES}min"
LEAST_NAMED = 0.8
"""Share of the pictures that a pattern must match."""
LEAST_TAGGED = 0.5
"""Share of the pictures that must have a time or a camera."""
LEAST_TOGETHER = 0.5
"""Share of the pictures that must share their group with another."""
LARGEST = 0.5
"""Share of the pictures beyond which one group is no group."""
LEAST_SHARED = 0.05
"""Share of the test pictures in groups of training that is worth a line."""
PAIRS = 2_000
ALIKE = 0.65
"""Share of pairs of one group that must look more alike than pairs of different groups of the same class."""
LEAST_PAIRS = 20
FOLLOWS = 0.5
"""Share of the way from chance to 100% at which the camera alone tells the class."""


class Proposal(NamedTuple):
    """Grouping that keeps related pictures in one split."""

    group_by: str
    """Value of `--group-by`."""
    groups: int
    """Number of groups of at least two pictures."""
    shared: int
    """Test pictures whose group also lies in training."""
    test: int
    """Test pictures."""
    example: tuple[str, str]
    """Names of a training and a test picture of one group."""

    @property
    def fact(self) -> str:
        """Return the proposal as a sentence."""
        pictures = f"{share(self.shared / self.test)} of {self.test:,} test pictures"
        option = f"--group-by {shlex.quote(self.group_by)}"
        return f"{option} finds {self.groups:,} groups: {pictures} share a group with training"


def propose_groups(source: Source, glances: Glances, where: Sequence[str | None]) -> Proposal | None:
    """Propose the grouping that fits a source, if its splits part groups.

    Args:
        source: The source; one with groups needs no proposal.
        glances: Facts of its pictures.
        where: Split of each picture, as `fit` makes it.

    Returns:
        The proposal; None if no grouping is credible, or none could be split, or no group is parted.
    """
    if source.group_by is not None:
        return None
    for group_by, groups in (*_by_look(source, glances), *_by_exif(source, glances, where)):
        rows = list(zip(source.samples, groups, where, strict=True))
        trained = {group: sample.name for sample, group, part in rows if part == "train" and group is not None}
        tested = [(sample.name, group) for sample, group, part in rows if part == "test"]
        shared = [(trained[group], name) for name, group in tested if group in trained]
        if shared and len(shared) >= LEAST_SHARED * len(tested) and _can_split(source, groups):
            sizes = Counter(group for group in groups if group is not None)
            several = sum(size > 1 for size in sizes.values())
            return Proposal(group_by, several, len(shared), len(tested), shared[0])
    return None


def _by_look(source: Source, glances: Glances) -> Iterator[tuple[str, Groups]]:
    """Yield credible groupings by names and folders, the coarsest first."""
    found: dict[tuple[str | None, ...], str] = {}
    names = [sample.name for sample in source.samples]
    for pattern in (*NAMES, *("^(.+/" + pattern.removeprefix("(") for pattern in NAMES), FOLDER):
        try:
            groups = group_names(names, pattern, source=source.name)
        except InputError:  # no name matches
            continue
        if _is_grouping(groups, LEAST_NAMED):
            found.setdefault(tuple(_number(groups)), pattern)
    labels, looks = np.array([sample.label for sample in source.samples]), _looks(glances)
    credible = {key: pattern for key, pattern in found.items() if _alike(key, None, labels, looks)}
    by_count = sorted(credible, key=lambda key: len(set(key)))
    for key in by_count:
        if key is by_count[-1] or _alike(key, by_count[-1], labels, looks):
            pattern = credible[key]
            groups = group_names(names, pattern, source=source.name)
            yield _readable(pattern, names, groups, source.name), groups


def _number(groups: Groups) -> list[str | None]:
    """Return groups under numbers in the order of their first pictures, so that equal groupings are equal lists."""
    numbers: dict[str, str] = {}
    return [None if group is None else numbers.setdefault(group, str(len(numbers))) for group in groups]


def _readable(pattern: str, names: Sequence[str], groups: Groups, source: str) -> str:
    """Return a pattern with the letters that all groups have in common, such as (scene_[0-9]+), if it does the same."""
    shapes = {re.sub("[0-9]+", "0", group) for group in groups if group is not None}
    if len(shapes) != 1 or "0" not in (shape := shapes.pop()):
        return pattern
    literal = re.escape(composed(shape)).replace("0", "[0-9]+").replace(r"\-", "-").replace(r"\ ", " ")
    for simple in (f"({literal})", rf"({literal})[^/]*$", rf"\b({literal})[^/]*$"):
        try:
            if list(group_names(names, simple, source=source)) == list(groups):
                return simple
        except InputError:
            continue
    return pattern


def _by_exif(source: Source, glances: Glances, where: Sequence[str | None]) -> Iterator[tuple[str, Groups]]:
    """Yield the groupings by time, and by a camera that follows the classes."""
    taken = [saved.taken if saved else "" for saved in glances.saved]
    times = [datetime.fromisoformat(time) if time else None for time in taken]
    groups = time_groups(times, timedelta(minutes=GAP_MINUTES))
    if _is_grouping(groups, LEAST_TAGGED):
        yield TIME, groups
    labels = [sample.label for sample in source.samples]
    cameras = {
        "exif:Model": [saved.model or None if saved else None for saved in glances.saved],
        "exif:Make": [saved.make or None if saved else None for saved in glances.saved],
    }
    for group_by, groups in cameras.items():
        if _is_grouping(groups, LEAST_TAGGED) and _follows(groups, labels, where):
            yield group_by, groups


def _follows(groups: Groups, labels: Sequence[int], where: Sequence[str | None]) -> bool:
    """Return whether the most frequent class of each group in training tells the classes of test pictures."""
    rows = list(zip(groups, labels, where, strict=True))
    counts: dict[str | None, Counter[int]] = {}
    for group, label, part in rows:
        if part == "train":
            counts.setdefault(group, Counter())[label] += 1
    test = [(group, label) for group, label, part in rows if part == "test" and group in counts]
    if not test:
        return False
    right = sum(counts[group].most_common(1)[0][0] == label for group, label in test) / len(test)
    chance = Counter(label for _, label in test).most_common(1)[0][1] / len(test)
    return right > chance + FOLLOWS * (1 - chance)


def _is_grouping(groups: Groups, named: float) -> bool:
    """Return whether most pictures have a group and share it with others, and no group holds most of them."""
    sizes = Counter(group for group in groups if group is not None)
    together = sum(size for size in sizes.values() if size > 1)
    count = len(groups)
    return bool(sizes) and (
        sizes.total() >= named * count and together >= LEAST_TOGETHER * count and max(sizes.values()) <= LARGEST * count
    )


def _can_split(source: Source, groups: Groups) -> bool:
    """Return whether the source can be split by these groups, which a class of a single group cannot."""
    samples = tuple(replace(sample, group=group) for sample, group in zip(source.samples, groups, strict=True))
    try:
        split(replace(source, samples=samples))
    except SourceError:
        return False
    return True


def _looks(glances: Glances) -> NDArray[np.float32]:
    """Return the color thumbnails in deviations from their mean over all pictures, of unit length. -> (N, 192)."""
    colors = glances.colors.reshape(len(glances), -1).astype(np.float32)
    colors = (colors - colors.mean(0)) / (colors.std(0) + 1)
    unit: NDArray[np.float32] = colors / np.maximum(np.linalg.norm(colors, axis=1, keepdims=True), 1e-6)
    return unit


def _alike(groups: Groups, finer: Groups | None, labels: NDArray[np.int64], looks: NDArray[np.float32]) -> bool:
    """Return whether pairs of one group, of different `finer` groups, look more alike than other pairs of a class."""
    draw = np.random.default_rng(0)
    numbers = np.array([-1 if group is None else int(group) for group in _number(groups)])
    order = np.lexsort((draw.random(len(numbers)), numbers))
    steps = (1, 2, 3, 5, 8, 13)
    within = np.concatenate([np.column_stack([order[:-step], order[step:]]) for step in steps if step < len(order)])
    a, b = within.T
    fits = (numbers[a] == numbers[b]) & (numbers[a] >= 0)
    if finer is not None:
        fine = np.array([-1 if group is None else int(group) for group in finer])
        fits &= fine[a] != fine[b]
    within = draw.permutation(within[fits])[:PAIRS]
    by_class = np.lexsort((draw.random(len(labels)), labels))
    c, d = by_class[:-1], by_class[1:]
    apart = (labels[c] == labels[d]) & (numbers[c] != numbers[d])
    c, d = c[apart][:PAIRS], d[apart][:PAIRS]
    if min(len(within), len(c)) < LEAST_PAIRS:
        return False
    together, others = _similar(looks, *within.T), _similar(looks, c, d)
    return bool(np.searchsorted(np.sort(others), together).mean() >= ALIKE * len(others))


def _similar(looks: NDArray[np.float32], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the similarity of pairs, or of their mirrored thumbnails if that is higher. (P,), (P,) -> (P,)."""
    mirrored = looks.reshape(len(looks), 8, 8, 3)[:, :, ::-1].reshape(looks.shape)
    similar: NDArray[np.float32] = np.maximum((looks[a] * looks[b]).sum(1), (looks[a] * mirrored[b]).sum(1))
    return similar
