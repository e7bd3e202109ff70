"""Labels that `suggest` needs for the accuracy of random labeling.

    python benchmarks/suggest.py SOURCE [--classes 4] [--draws 10] [--first 0] [--input 128] [--weights imagenet]
                                 [--features FILE.npz] [--rounds 16 22 32 45 64 90 128]

Each draw keeps a third of SOURCE to score by. Of the others, the first round has labels at random, the same for every
rule; each later round adds those that a rule chooses, until the round has its number of labels. The head is that of
`fit` (logistic regression in folds), and the answers are those of the heads of `suggest`. The labels that a rule needs
are read from its mean accuracy, between two rounds on a logarithmic scale, at the accuracy that random labeling has
with 64, 90 and 128.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from label_errors import features_of
from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.machine import machine_line
from pennyweight.report.tables import Column, table
from pennyweight.scoring.spread import choose_spread, uncertainty
from pennyweight.verbs.reviewing.out_of_fold import answer_out_of_fold, softmax

Numbers = NDArray[np.int64]
Values = NDArray[np.float32]
Rule = Callable[[Values, Values, NDArray[np.float64], int, np.random.Generator], Numbers]


def farthest(
    new: Values, labeled: Values, answers: NDArray[np.float64], count: int, draws: np.random.Generator
) -> Numbers:
    """Choose the picture that is farthest from all with a label, one after the other (k-center)."""
    mean = np.concatenate([new, labeled]).mean(axis=0)
    unit, known = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (new - mean, labeled - mean))
    nearest, chosen = (unit @ known.T).max(axis=1), []
    for _ in range(count):
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, unit @ unit[chosen[-1]])
    return np.array(chosen)


def doubt(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 less the distance between the two most probable classes, (N,)."""
    ordered = np.sort(answers, axis=1)
    found: NDArray[np.float64] = 1 - (ordered[:, -1] - ordered[:, -2])
    return found


RULES: dict[str, Rule] = {
    "random": lambda new, labeled, answers, count, draws: draws.permutation(len(new))[:count],
    "least margin": lambda new, labeled, answers, count, draws: np.argsort(-doubt(answers), kind="stable")[:count],
    "farthest first": farthest,
    "spread, not weighted": lambda new, labeled, answers, count, draws: choose_spread(
        new, labeled, np.ones(len(new)), count
    ),
    "spread by margin": lambda new, labeled, answers, count, draws: choose_spread(new, labeled, doubt(answers), count),
    "by margin, squared similarity": lambda new, labeled, answers, count, draws: choose_spread(
        new, labeled, doubt(answers), count, power=2.0
    ),
    "spread by entropy: suggest": lambda new, labeled, answers, count, draws: choose_spread(
        new, labeled, uncertainty(answers), count
    ),
}


class Answers:
    """Answers to every picture by heads that learned from those with a label: that of `fit`, and all of `suggest`."""

    def __init__(self, values: Values, samples: list[data.Sample], names: tuple[str, ...], taught: Numbers) -> None:
        heads = answer_out_of_fold(values[taught], [samples[number] for number in taught.tolist()], names, {}).heads
        logits = [head.logits(values) for head in heads]
        self.best = logits[0].argmax(axis=1)
        self.probabilities = np.mean([softmax(each) for each in logits], axis=0)


def labels_needed(accuracies: NDArray[np.float64], rounds: list[int], target: float) -> float:
    """Return the number of labels with which a mean accuracy per round first reaches a target; infinity if never."""
    best = np.maximum.accumulate(accuracies)
    return float(np.exp(np.interp(target, best, np.log(rounds)))) if target <= best[-1] else np.inf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--classes", type=int, default=0, help="number of classes, by default all")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--input", type=int, default=128)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--rounds", type=int, nargs="+", default=[16, 22, 32, 45, 64, 90, 128])
    asked = parser.parse_args()
    source = data.open(asked.source)
    values = features_of(source, asked.weights, asked.input, asked.features)
    names = source.labels[: asked.classes or None]
    kept = np.array([sample.label < len(names) for sample in source.samples])
    samples = [sample for sample in source.samples if sample.label < len(names)]
    values, targets = values[kept], np.array([sample.label for sample in samples], np.int64)
    found: dict[str, list[list[float]]] = defaultdict(list)
    done, number = 0, asked.first
    while done < asked.draws:
        draws = np.random.default_rng(number)
        number += 1
        order = draws.permutation(len(targets))
        test, others = order[: len(order) // 3], order[len(order) // 3 :]
        start = others[: asked.rounds[0]]
        if np.bincount(targets[start], minlength=len(names)).min() < 2:
            continue  # a class of one picture has no folds
        done += 1
        first = Answers(values, samples, names, start)
        for name, rule in RULES.items():
            taught, answers = start, first
            accuracies = [float((first.best[test] == targets[test]).mean())]
            for size in asked.rounds[1:]:
                pool = np.setdiff1d(others, taught)
                picked = rule(values[pool], values[taught], answers.probabilities[pool], size - len(taught), draws)
                taught = np.concatenate([taught, pool[picked]])
                answers = Answers(values, samples, names, taught)
                accuracies.append(float((answers.best[test] == targets[test]).mean()))
            found[name].append(accuracies)
    means = {name: np.mean(each, axis=0) for name, each in found.items()}
    aims = asked.rounds[-3:]
    columns = [
        Column("rule"), *(Column(str(size), share) for size in asked.rounds),
        *(Column(f"needs for random's {size}", lambda needed: f"{needed:.0f}") for size in aims),
    ]  # fmt: skip
    reached = means["random"][-3:]
    rows = [
        (name, *map(float, mean), *(labels_needed(mean, asked.rounds, target) for target in reached))
        for name, mean in means.items()
    ]
    title = f"{source.name}, {len(names)} classes, input {asked.input}, {asked.draws} draws: mean accuracy by labels"
    Console(width=160).print(table(title, columns, rows))
    print(machine_line())


if __name__ == "__main__":
    main()
