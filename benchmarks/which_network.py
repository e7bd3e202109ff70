"""Choice of the network: the one that mode head keeps of several, against each of them and against the best.

    python benchmarks/which_network.py SOURCE --weights FOLDER [--classes 4] [--sizes 64 128 256] [--draws 30]

It draws pictures of each class equally often from SOURCE, and takes the accuracy on all others for the truth. On each
draw it does what `fit --weights FOLDER` does: heads on the features of each network answer the draw in folds, the
network that suits is kept, and each fold is answered by the network that the other pictures choose.
Features of the networks are computed once, because they depend on a picture alone.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from few_pictures import Pool
from pennyweight import data, zoo
from pennyweight.core.figures import number, share
from pennyweight.core.machine import machine_line
from pennyweight.report.tables import Column, table
from pennyweight.train.linear_probe import extract_features
from pennyweight.train.logistic_head import learn_in_folds
from pennyweight.train.presets import get_recipe
from pennyweight.verbs.fitting.choose_folds import usual_folds
from pennyweight.verbs.fitting.network_trial import NetworkTrial, cheapest_alike, pick_network
from pennyweight.verbs.fitting.size_trial import cross_validated
from pennyweight.verbs.weigh import weigh


class Network:
    """Network with its features of every picture, and its costs."""

    def __init__(self, file: Path, source: data.Source) -> None:
        self.name = zoo.recognize(zoo.open_checkpoint(file, "mobilenet_v2")).name
        made = zoo.open_pretrained(self.name, file)
        pictures = data.make_pictures(source, source.samples, made.preprocess)
        pictures.read()
        recipe, device = get_recipe("probe"), torch.device("cpu")
        self.values = extract_features(made.network, pictures, recipe, views=0, seed=0, device=device).values[0]
        height, width, channels = made.preprocess.shape
        cost = weigh(made.network, (channels, height, width))
        self.params, self.macs, self.size = cost.params, cost.macs, made.preprocess.size


class Drawn:
    """Draw of some pictures: answers in folds and the truth for each network, and the choices."""

    def __init__(self, pool: Pool, networks: list[Network], chosen: NDArray[np.int64]) -> None:
        targets, samples = pool.targets[chosen], [pool.source.samples[number] for number in chosen.tolist()]
        folds = data.assign_folds(samples, usual_folds(samples, seed=0, clusters={}))
        rest = np.ones(len(pool.targets), np.bool_)
        rest[chosen] = False
        trials, correct, self.truths = [], [], []
        for network in networks:
            rows = network.values[chosen]
            answers = cross_validated(rows, targets, np.arange(len(chosen)))
            assert answers is not None
            outside = [
                cross_validated(rows[which], targets[which], np.flatnonzero(which), least=2)
                for which in (folds != fold for fold in range(int(folds.max()) + 1))
            ]
            trials.append(
                NetworkTrial(
                    network.name, "", network.size, answers, (0, 1), network.params, network.macs, 0.0, tuple(outside)
                )
            )
            found = learn_in_folds(rows, targets, folds, classes=pool.classes)
            correct.append(found.logits.argmax(axis=1) == targets)
            self.truths.append(float((found.head.logits(network.values).argmax(axis=1) == pool.targets)[rest].mean()))
        self.kept = trials.index(pick_network(trials))
        self.best = max(range(len(trials)), key=lambda place: trials[place].accuracy)
        cheapest = cheapest_alike(trials, trials[self.best])
        self.cheapest = self.best if cheapest is None else trials.index(cheapest)
        self.plain_score = float(correct[self.best].mean())
        of_fold = {fold: trials.index(pick_network(trials, fold)) for fold in np.unique(folds).tolist()}
        self.score = float(np.mean([correct[of_fold[int(fold)]][place] for place, fold in enumerate(folds)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--weights", type=Path, required=True, help="folder of files")
    parser.add_argument("--classes", type=int, default=0, help="number of classes, by default all")
    parser.add_argument("--pictures", type=int, default=0, help="first pictures of each class, by default all")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--draws", type=int, default=30)
    asked = parser.parse_args()
    source = data.open(asked.source)
    labels = source.labels[: asked.classes or None]
    samples = [
        replace(sample, split=None)
        for label in range(len(labels))
        for sample in [each for each in source.samples if each.label == label][: asked.pictures or None]
    ]
    source = replace(source, samples=tuple(samples), labels=labels)
    networks = [Network(file, source) for file in zoo.files_of(asked.weights)]
    pool = Pool(source, networks[0].values, {})
    lines = []
    for size in asked.sizes:
        drawn = [Drawn(pool, networks, pool.draw(size, 1000 * size + draw)) for draw in range(asked.draws)]
        truths = np.array([each.truths for each in drawn])
        kept = np.array([each.kept for each in drawn])
        truth = truths[np.arange(len(drawn)), kept]
        named = {
            name: share(float(truths[:, place].mean())) for place, name in enumerate(each.name for each in networks)
        }
        off = np.array([each.score for each in drawn]) - truth
        best = truths[np.arange(len(drawn)), [each.best for each in drawn]]
        cheapest = truths[np.arange(len(drawn)), [each.cheapest for each in drawn]]
        means = [share(float(each.mean())) for each in (truth, best, cheapest, truths.max(axis=1))]
        macs = number(float(np.mean([networks[each].macs for each in kept])))
        plain = np.mean([each.plain_score for each in drawn] - best)
        lines.append(
            (size, len(drawn), *named.values(), *means, macs, f"{100 * off.mean():+.1f}", f"{100 * plain:+.1f}")
        )
    heads = ["pictures", "draws", *(each.name for each in networks), "kept", "most accurate in folds"]
    heads += ["one standard error", "best of all", "MACs, kept", "score − truth", "without nesting"]
    title = f"{source.name}, {len(labels)} classes, {len(samples):,} pictures"
    Console(width=220).print(table(title, [Column(head) for head in heads], lines))
    print({each.name: each.macs for each in networks}, machine_line(), sep="\n")


if __name__ == "__main__":
    main()
