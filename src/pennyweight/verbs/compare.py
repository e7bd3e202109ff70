"""`compare`: runs and bundles side by side on the same pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.files import read_json
from pennyweight.core.heap import keeping_memory
from pennyweight.core.labels import match_labels
from pennyweight.core.run import Run
from pennyweight.core.run_folder import SEEDS
from pennyweight.data.intervals import share_interval
from pennyweight.runtime import Bundle
from pennyweight.scoring.comparison import ComparedNetwork, Comparison, Difference, difference_of, mean_interval
from pennyweight.verbs.answered_source import answer_share, answered, join
from pennyweight.verbs.bench import bench
from pennyweight.verbs.evaluate import samples_to_score
from pennyweight.verbs.execution import Execution
from pennyweight.verbs.load import classifier_of, open_trained
from pennyweight.verbs.scenes.scene_run import refuse_scene_run
from pennyweight.verbs.scored_source import open_scored_source, origin_of
from pennyweight.verbs.twins_in_training import twins_within
from pennyweight.verbs.weigh import weigh

__all__ = ["compare"]

RunOrBundle = str | os.PathLike[str] | Run | Bundle


@dataclass
class _Member:
    """Run or bundle of the comparison."""

    trained: Run | Bundle
    where: str
    network: str
    labels: tuple[str, ...]
    seed: int | None
    key: str
    """Equal for runs that differ in their seed alone."""


@keeping_memory()
def compare(
    runs_or_bundles: Sequence[RunOrBundle],
    source: data.AnySource | None = None,
    *,
    split: data.Split = "test",
    measure: bool = False,
    max_pixels: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
    left_out: Callable[[data.Unreadable], None] = lambda unreadable: None,
    note: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Compare runs and bundles side by side on the same pictures: accuracy, cost, and tests of the differences.

    Runs that differ in their seed alone are one network, with mean, standard deviation and interval. Pictures that any
    of the runs was trained or selected on are left out for all, and counted.

    Args:
        runs_or_bundles: Folders that `pw.fit` made, files that `pw.export` made, either opened; the folder of
            `pw.fit_seeds` stands for its runs. At least two.
        source: Pictures to score, as `pw.fit` takes them; by default those of the first one's training.
        split: "train", "val" or "test" of the source.
        measure: Also time each network, as `pw.bench` does, on the engine of a run or a bundle.
        max_pixels: Pixels of the largest picture to score; by default 80 million.
        advance: Callback that is given the number of pictures after each batch.
        left_out: Callback that is given each picture that cannot be read, and the pictures that training has seen.
        note: Callback that is given a line about the reading of the source.

    Returns:
        The comparison: `networks`, the most accurate first, `differences` of every pair, `to_frame()`.

    Raises:
        InputError: There are fewer than two, or one is no run or bundle of pictures.
        SourceError: The source is not here, has classes that a network does not know, or has no picture left.
    """
    members = _members(runs_or_bundles, split)
    notes: list[str] = []
    first = members[0]
    origin = origin_of(first.trained)
    opened = open_scored_source(source, first.trained, origin, None)
    numbers = [match_labels(opened.labels, each.labels, source=f"{opened.name} (for {each.where})") for each in members]
    twins = twins_within(opened, origin, max_pixels=max_pixels, note=note)
    samples, name = samples_to_score(first.trained, opened, origin, split, twins, left_out=left_out, note=note)
    samples, lost = _unseen_by_any(members, samples, split, opened, left_out, notes)
    correct, samples = _answers(members, numbers, opened, samples, max_pixels, advance, left_out)
    moments = data.moments_of(opened, twins, samples)
    for line in notes:
        note(line)
    rows, differences = _rows(members, correct, moments, measure=measure, note=note)
    return Comparison(
        source=opened.name,
        split=name,
        images=correct.shape[1],
        left_out=lost,
        networks=tuple(rows),
        differences=tuple(differences),
        notes=tuple(notes),
    )


def _rows(
    members: Sequence[_Member],
    correct: NDArray[np.bool_],
    moments: NDArray[np.int64] | None,
    *,
    measure: bool,
    note: Callable[[str], None],
) -> tuple[list[ComparedNetwork], list[Difference]]:
    """Return a row for each network, the most accurate first, and the difference of every pair."""
    groups: dict[str, list[int]] = {}
    for place, member in enumerate(members):
        groups.setdefault(member.key, []).append(place)
    masks = [correct[places] for places in groups.values()]
    own = [[members[place] for place in places] for places in groups.values()]
    titles = _titles([each[0] for each in own])
    rows = [
        _row(title, each, mask, moments, measure=measure, note=note)
        for title, each, mask in zip(titles, own, masks, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda place: -rows[place].accuracy)
    pairs = [
        difference_of((rows[one].name, rows[other].name), (masks[one], masks[other]))
        for one, other in combinations(order, 2)
    ]
    return [rows[place] for place in order], pairs


def _members(given: Sequence[RunOrBundle], split: str) -> list[_Member]:
    """Open what is compared. Raises InputError for an unknown split, and for fewer than two runs or bundles."""
    if split not in data.SPLITS:
        raise InputError(f"unknown split '{split}'; there are {', '.join(data.SPLITS)}")
    members = [_member(each) for each in _expanded(given)]
    if len(members) < 2:
        raise InputError(f"a comparison needs at least 2 runs or bundles, not {len(members)}; `evaluate` scores one")
    return members


def _expanded(given: Sequence[RunOrBundle]) -> list[RunOrBundle]:
    """Return the runs and bundles, with the folder of several seeds replaced by its runs; each once."""
    if isinstance(given, (str, os.PathLike)):
        given = [given]
    found: dict[str, RunOrBundle] = {}
    for each in given:
        folder = None if isinstance(each, (Run, Bundle)) else Path(each)
        if folder is not None and (folder / SEEDS).is_file():
            seeds = read_json(folder / SEEDS).get("accuracies", {})
            runs: list[RunOrBundle] = [folder / f"seed-{seed}" for seed in seeds]
            if not runs:
                raise InputError(f"{folder} holds runs of a scene; `compare` takes runs and bundles of pictures")
        else:
            runs = [each]
        for run in runs:
            where = run.path if isinstance(run, Bundle) else Path(run)
            found.setdefault(str(where.resolve()), run)
    return list(found.values())


def _member(each: RunOrBundle) -> _Member:
    trained = open_trained(each)
    if isinstance(trained, Run):
        refuse_scene_run(trained, "compare")
        record = trained.record
        alike = {name: record.get(name) for name in ("model", "preprocess", "weights", "recipe", "teacher", "mode")}
        key = json.dumps([alike, trained.info.data.fingerprint], sort_keys=True, default=str)
        return _Member(
            trained, str(trained.folder), str(trained.info.model["name"]), tuple(trained.labels), trained.info.seed, key
        )
    if not isinstance(trained, Bundle):
        raise InputError(f"{each} is not a run or a bundle, which `compare` takes")
    known = trained.manifest
    name = str(known.network.get("name", trained.path.stem))
    return _Member(trained, str(trained.path), name, tuple(known.labels), None, str(trained.path))


def _unseen_by_any(
    members: Sequence[_Member],
    samples: Sequence[data.Sample],
    split: str,
    opened: data.Source,
    left_out: Callable[[data.Unreadable], None],
    notes: list[str],
) -> tuple[Sequence[data.Sample], dict[str, int]]:
    """Leave out of a test the pictures that any network learned from. Raises SourceError where none is left."""
    lost: dict[str, int] = {}
    for member in members if split == "test" else ():
        known = member.trained.training_digests
        if known is None:
            notes.append(
                f"{member.where} does not record its training pictures: some of {opened.name} may be among them"
            )
            continue
        others = data.exclude_seen(samples, known)
        if count := len(samples) - len(others):
            lost[member.where] = count
            line = f"{count} pictures of {opened.name} that {member.where} was trained or selected on"
            left_out(data.Unreadable(opened.name, line))
        samples = others
    if not samples:
        raise SourceError(
            f"no picture of {opened.name} is left that none of the networks learned from; give a source that is new to "
            "all, or runs that were trained on the same split"
        )
    if lost:
        notes.append(
            f"the splits differ: {sum(lost.values())} pictures that one of the networks learned from are left out for "
            "all, so that accuracies may differ from those of the runs"
        )
    return samples, lost


def _answers(
    members: Sequence[_Member],
    numbers: Sequence[Sequence[int]],
    opened: data.Source,
    samples: Sequence[data.Sample],
    max_pixels: int | None,
    advance: Callable[[int], None],
    left_out: Callable[[data.Unreadable], None],
) -> tuple[NDArray[np.bool_], Sequence[data.Sample]]:
    """Return masks of the pictures that each network has right, (networks, N), and those pictures."""
    correct, names = [], []
    for place, (member, known) in enumerate(zip(members, numbers, strict=True)):
        classifier = classifier_of(member.trained, Execution(), max_pixels)
        share = answer_share(opened, samples, classifier, advance)
        probabilities, targets = join([share], opened, left_out if not place else lambda unreadable: None)
        correct.append(probabilities.argmax(axis=1) == np.asarray(known)[targets])
        names.append([sample.name for sample in answered(samples, [share])])
    everyone = set(names[0]).intersection(*names[1:])
    masks = [
        right[[name in everyone for name in own]] for right, own in zip(correct, names, strict=True)
    ]  # a picture that one network cannot read is left out for all
    return np.stack(masks), [sample for sample in samples if sample.name in everyone]


def _titles(members: Sequence[_Member]) -> list[str]:
    """Return the names of the rows: the network's where it tells the rows apart, else with the run or the file."""
    networks = [member.network for member in members]
    titles = [
        network if networks.count(network) == 1 else f"{network} ({_place(member)})"
        for network, member in zip(networks, members, strict=True)
    ]
    return [
        title if titles.count(title) == 1 else f"{title}, {member.where}"
        for title, member in zip(titles, members, strict=True)
    ]


def _place(member: _Member) -> str:
    """Return the name of a bundle's file, or of a run's folder; of one of several seeds the folder that holds them."""
    path = Path(member.where)
    return path.parent.name if (path.parent / SEEDS).is_file() else path.name


def _row(
    title: str,
    members: Sequence[_Member],
    correct: NDArray[np.bool_],
    moments: NDArray[np.int64] | None,
    *,
    measure: bool,
    note: Callable[[str], None],
) -> ComparedNetwork:
    """Return a network with its score, its cost and, with `measure`, its milliseconds."""
    accuracies = [float(mask.mean()) for mask in correct]
    several = len(members) > 1
    trained = members[0].trained
    cost: Any = weigh(members[0].where)
    ms = bench([trained], engines=None, fresh=False, note=note).rows[0].median_ms if measure else None
    return ComparedNetwork(
        name=title,
        runs=tuple(member.where for member in members),
        seeds=tuple(member.seed for member in members),
        accuracies=tuple(accuracies),
        accuracy=fmean(accuracies),
        deviation=stdev(accuracies) if several else None,
        accuracy_interval=mean_interval(accuracies) if several else share_interval(correct[0], moments),
        params=cost.params,
        macs=cost.macs,
        ms=ms,
    )
