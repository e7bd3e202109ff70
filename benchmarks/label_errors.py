"""Planted label errors, and how many of them each score finds among the first tenth of the pictures.

    python benchmarks/label_errors.py SOURCE [--classes 2] [--pictures 200] [--errors 0.05] [--draws 20] [--input 224]
                                      [--weights imagenet] [--features FILE.npz]

It draws as many pictures of each class from SOURCE, gives a share of them another class at random, and ranks all by
each score. Features of the network are computed once, and kept in `--features`. With cleanlab installed, its rankings
of the same answers are compared. Errors that the set has of its own count as none, which is to every score's loss.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from few_pictures import open_pool
from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.machine import machine_line
from pennyweight.report.tables import Column, table
from pennyweight.scoring.label_quality import Neighbors, label_quality, nearest_in_other_folds, vote
from pennyweight.train.logistic_head import learn_in_folds
from pennyweight.verbs.reviewing.out_of_fold import answer_out_of_fold, softmax

Scores = Iterator[tuple[str, NDArray[np.float64]]]


def features_of(source: data.Source, weights: str, size: int, file: Path | None) -> NDArray[np.float32]:
    """Return the features of every picture, from `file` where it has them."""
    if file is not None and file.exists():
        values: NDArray[np.float32] = np.load(file)["values"]
        return values
    values = open_pool(source, weights, size).values
    if file is not None:
        np.savez(file, values=values)
    return values


def peers(labels: NDArray[np.int64], answers: NDArray[np.float64]) -> Scores:
    """Yield cleanlab's rankings: label issues first, ordered by the quality of their labels."""
    if find_spec("cleanlab") is None:
        return
    find_label_issues = import_module("cleanlab.filter").find_label_issues
    get_label_quality_scores = import_module("cleanlab.rank").get_label_quality_scores
    for by in ("self_confidence", "normalized_margin"):
        quality = get_label_quality_scores(labels, answers, method=by) + 1
        found = find_label_issues(labels, answers, return_indices_ranked_by=by, n_jobs=1)
        quality[found] = np.arange(len(found)) / len(labels) - 1
        yield f"cleanlab, issues by {by}", quality


def scores(
    features: NDArray[np.float32], samples: list[data.Sample], labels: NDArray[np.int64], names: tuple[str, ...]
) -> Scores:
    """Yield the score of each label, low for a wrong one."""
    rows, classes = np.arange(len(labels)), len(names)
    folds = data.assign_folds(samples, 5, labels=names)
    once = softmax(learn_in_folds(features, labels, folds, classes=classes).logits)
    best_other = np.where(np.eye(classes, dtype=bool)[labels], -1.0, once).max(axis=1)
    yield "self-confidence, one division", once[rows, labels]
    yield "normalized margin, one division", once[rows, labels] - best_other
    yield from peers(labels, once)
    answers = answer_out_of_fold(features, samples, names, {})
    three = answers.probabilities
    yield "self-confidence, three divisions", three[rows, labels]
    near = nearest_in_other_folds(features, answers.folds)
    for count in (5, 10, 20):
        few = Neighbors(near.numbers[:, :count], near.similarity[:, :count])
        yield f"{count} nearest", vote(few, labels, classes)[rows, labels]
    votes = vote(near, labels, classes)
    product = three * votes
    yield "product of heads and 20 nearest", (product / product.sum(axis=1, keepdims=True))[rows, labels]
    yield "review: mean of heads and 20 nearest", label_quality(three, votes, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--classes", type=int, default=0, help="number of classes, by default all")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--errors", type=float, default=0.05)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--input", type=int, default=224)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--features", type=Path)
    asked = parser.parse_args()
    source = data.open(asked.source)
    values = features_of(source, asked.weights, asked.input, asked.features)
    names = source.labels[: asked.classes or None]
    targets = np.array([sample.label for sample in source.samples], np.int64)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(asked.draws):
        draws = np.random.default_rng(number)
        chosen = np.concatenate(
            [
                draws.permutation(np.flatnonzero(targets == label))[: asked.pictures // len(names)]
                for label in range(len(names))
            ]
        )
        labels, planted = targets[chosen].copy(), np.zeros(len(chosen), bool)
        planted[draws.permutation(len(chosen))[: round(asked.errors * len(chosen))]] = True
        labels[planted] = (labels[planted] + draws.integers(1, len(names), planted.sum())) % len(names)
        samples = [
            data.Sample(sample.picture, int(label), sample.digest, None, sample.name)
            for sample, label in zip((source.samples[each] for each in chosen.tolist()), labels, strict=True)
        ]
        for name, quality in scores(values[chosen], samples, labels, names):
            hits: NDArray[Any] = planted[np.argsort(quality, kind="stable")]
            precision = (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()
            found[name].append((hits[: len(hits) // 10].sum() / planted.sum(), precision))
    title = (
        f"{source.name}, {len(names)} classes, {asked.pictures} pictures, {share(asked.errors)} labels wrong, "
        f"{asked.draws} draws, input {asked.input}: errors among the first 10%"
    )
    columns = [
        Column("score"), Column("mean", share), Column("lowest", share), Column("average precision", share),
    ]  # fmt: skip
    summary = [
        (name, np.mean([each[0] for each in one]), np.min([each[0] for each in one]), np.mean([e[1] for e in one]))
        for name, one in found.items()
    ]
    Console().print(table(title, columns, [(n, float(a), float(b), float(c)) for n, a, b, c in summary]))
    print(machine_line())


if __name__ == "__main__":
    main()
