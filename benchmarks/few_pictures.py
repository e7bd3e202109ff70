"""Scores of few pictures: a test split against folds, and the head that each of them leaves.

    python benchmarks/few_pictures.py SOURCE [--classes 4] [--sizes 32 64 128 256] [--draws 50] [--input 128]

It draws pictures of each class equally often from SOURCE, and takes the accuracy on all others for the truth. These
others are a sample too: of R others, the difference from a score of N pictures is taken times sqrt(R / (R + N)). On
each draw it does what `fit` does in mode head: the recipe probe on a split by content, and logistic regression in
folds. Features of the network are computed once, because they depend on a picture alone. `--fit N` runs `fit` itself on
the first N draws of each size, and fails where its score or its weights differ. `--peer N` trains scikit-learn's
LogisticRegressionCV on the features of the first N draws. Figures of every draw are added to `--out`, as JSON lines,
and the same command continues after those that are there.
"""

import argparse
import json
import os
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.figures import share
from pennyweight.core.files import read_lines
from pennyweight.core.frame import side_of
from pennyweight.core.machine import machine_line
from pennyweight.core.preprocess import Preprocess
from pennyweight.data.intervals import FOLDED, interval, shift_interval
from pennyweight.report.tables import Column, table
from pennyweight.train import train
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.linear_probe import Features, extract_features
from pennyweight.train.logistic_head import Head, learn_in_folds
from pennyweight.train.presets import get_recipe
from pennyweight.verbs.fitting.choose_folds import usual_folds
from pennyweight.verbs.load import restore

Draw = dict[str, Any]


class Pool:
    """Pictures of a source with their features, from which small sets are drawn."""

    def __init__(self, source: data.Source, values: NDArray[np.float32], options: dict[str, Any]) -> None:
        self.source, self.values, self.options = source, values, options
        self.targets = np.array([sample.label for sample in source.samples], np.int64)
        self.classes = len(source.labels)

    def draw(self, size: int, seed: int) -> NDArray[np.int64]:
        """Return the numbers of `size` pictures, of every class nearly equally many."""
        order = np.random.default_rng(seed).permutation(len(self.targets))
        left = [size // self.classes + (label < size % self.classes) for label in range(self.classes)]
        taken: list[int] = []
        for number in order.tolist():
            label = int(self.targets[number])
            if left[label]:
                taken.append(number)
                left[label] -= 1
        return np.array(taken)


def open_network(weights: str, size: int) -> tuple[nn.Module, Preprocess]:
    """Open MobileNetV2 with weights, and its preprocessing for inputs of `size` pixels."""
    made = zoo.open_pretrained("mobilenet_v2", weights)
    usual = side_of(made.preprocess.resize) / side_of(made.preprocess.size)
    return made.network, replace(made.preprocess, size=size, resize=round(size * usual))


def open_source(address: str, classes: int) -> data.Source:
    """Open the pictures of the first `classes`, 0 for all of them, without splits of their own."""
    source = data.open(address)
    samples = [sample for sample in source.samples if not classes or sample.label < classes]
    samples = [replace(sample, split=None) for sample in samples]
    return replace(source, samples=tuple(samples), labels=source.labels[: classes or None])


def open_pool(source: data.Source, weights: str, size: int) -> Pool:
    """Compute the features of every picture."""
    network, preprocess = open_network(weights, size)
    pictures = data.make_pictures(source, source.samples, preprocess)
    pictures.read()
    found = extract_features(network, pictures, get_recipe("probe"), views=0, seed=0, device=torch.device("cpu"))
    return Pool(source, found.values[0], {"weights": weights, "input_size": size})


def by_split(pool: Pool, chosen: NDArray[np.int64]) -> tuple[float, float, int]:
    """Train the recipe probe on a split by content; return accuracy on its test split, the truth, and its pictures."""
    small = replace(pool.source, samples=tuple(pool.source.samples[number] for number in chosen.tolist()))
    number_of = {id(sample): number for sample, number in zip(small.samples, chosen.tolist(), strict=True)}
    splits = data.split(small)
    rows = {part: np.array([number_of[id(sample)] for sample in splits[part]]) for part in data.SPLITS}
    features = {part: Features(pool.values[rows[part]][None], pool.targets[rows[part]][None]) for part in rows}
    torch.manual_seed(0)
    layer, best = nn.Linear(pool.values.shape[1], pool.classes), {}
    nn.init.normal_(layer.weight, std=0.01)

    def keep(epochs: Any, is_best: bool) -> None:
        if is_best:
            best.update({name: value.clone() for name, value in layer.state_dict().items()})

    train(
        layer, training=features["train"], validation=features["val"], recipe=get_recipe("probe"), seed=0,
        callback=NullCallback(), after_epoch=keep, preprocess=None,
    )  # fmt: skip
    layer.load_state_dict(best)
    with torch.inference_mode():
        right = layer(torch.from_numpy(pool.values)).argmax(1).numpy() == pool.targets
    return float(right[rows["test"]].mean()), _truth(right, chosen), len(rows["test"])


def _truth(right: NDArray[np.bool_], chosen: NDArray[np.int64]) -> float:
    rest = np.ones(len(right), np.bool_)
    rest[chosen] = False
    return float(right[rest].mean())


def truth_of(pool: Pool, chosen: NDArray[np.int64], head: Head) -> float:
    """Return the accuracy of a head on all other pictures."""
    return _truth(head.logits(pool.values).argmax(axis=1) == pool.targets, chosen)


def in_folds(pool: Pool, chosen: NDArray[np.int64], count: int) -> tuple[Draw, Any]:
    """Score in folds; return the figures of the draw, and the heads."""
    samples = [pool.source.samples[number] for number in chosen.tolist()]
    targets = pool.targets[chosen]
    number = count or usual_folds(samples, seed=0, clusters={})
    started = process_time()
    found = learn_in_folds(
        pool.values[chosen], targets, data.assign_folds(samples, number), classes=pool.classes
    )  # fmt: skip
    seconds = process_time() - started
    correct = int((found.logits.argmax(axis=1) == targets).sum())
    figures = {
        "folds": correct / len(chosen), "kept": truth_of(pool, chosen, found.head), "correct": correct,
        "number": number, "seconds": seconds,
    }  # fmt: skip
    return figures, found


def by_peer(pool: Pool, chosen: NDArray[np.int64]) -> float:
    """Return the truth of scikit-learn's LogisticRegressionCV with its defaults, on standardized features."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = make_pipeline(StandardScaler(), LogisticRegressionCV(cv=3 if len(chosen) < 50 else 5, max_iter=300))
        peer.fit(pool.values[chosen], pool.targets[chosen])
        return _truth(peer.predict(pool.values) == pool.targets, chosen)


def require_equal(pool: Pool, chosen: NDArray[np.int64], accuracy: float, found: Any) -> None:
    """Run `fit` itself on a draw. Raises AssertionError where its score or its head are others."""
    small = replace(pool.source, samples=tuple(pool.source.samples[number] for number in chosen.tolist()))
    with tempfile.TemporaryDirectory() as folder:
        run = pw.fit(
            small, "mobilenet_v2", out=Path(folder, "run"), frame="crop", twins="keep", progress=False,
            recipe={"mode": "head"}, **pool.options,
        )  # fmt: skip
        head = restore(run).head.linear  # type: ignore[union-attr]
        assert abs(run.evaluation["accuracy"] - accuracy) < 1e-9, (run.evaluation["accuracy"], accuracy)
        ours = head.weight.detach().numpy()  # type: ignore[union-attr,operator]
        assert np.abs(ours - found.head.weight).max() < 1e-3 * np.abs(ours).max()


def draws(pool: Pool, asked: argparse.Namespace, done: set[tuple[int, int]]) -> Iterator[Draw]:
    """Yield the figures of each draw that is not done, one of every size in turn."""
    for number in range(asked.draws):
        for size in asked.sizes:
            if (size, number) in done:
                continue
            chosen = pool.draw(size, 1000 * size + number)
            figures, found = in_folds(pool, chosen, asked.folds)
            if number < asked.fit:
                require_equal(pool, chosen, figures["folds"], found)
            row: Draw = {"size": size, "draw": number, "rest": len(pool.targets) - size, **figures}
            if not asked.folds_only:
                row |= dict(zip(("split", "taught", "test"), by_split(pool, chosen), strict=True))
            if number < asked.peer:
                row["peer"] = by_peer(pool, chosen)
            yield row


def judged(row: Draw, classes: int) -> Draw:
    """Return the errors of a draw's scores, corrected for the error of the truth, and whether intervals cover."""
    size, rest, scored, kept = row["size"], row["rest"], row["folds"], row["kept"]
    part = (rest / (rest + size)) ** 0.5
    plain, folded = (interval(row["correct"], size, folded=each) for each in (False, True))
    (low, high), predicted = shift_interval(folded, scored, row["number"], -(-size // classes) / size)
    expected = scored if predicted is None else predicted
    found: Draw = {
        "folds": part * (scored - kept), "predicted": part * (expected - kept), "width": high - low,
        "covers": low <= expected + part * (kept - expected) <= high,
        "covers plain": plain[0] <= scored + part * (kept - scored) <= plain[1],
    }  # fmt: skip
    if "split" in row:
        tested = row["test"]
        own = (rest / (rest + tested)) ** 0.5
        lower, upper = interval(round(row["split"] * tested), tested)
        found |= {
            "split": own * (row["split"] - row["taught"]), "above": kept - row["taught"], "split width": upper - lower
        }  # fmt: skip
    return found | ({"peer": kept - row["peer"]} if "peer" in row else {})


def summed(rows: list[Draw], classes: int) -> list[tuple[Any, ...]]:
    """Return a row of the table for each size."""
    of: dict[int, list[Draw]] = defaultdict(list)
    for row in rows:
        of[row["size"]].append(row)
    lines = []
    for size, own in sorted(of.items()):
        found = [judged(row, classes) for row in own]

        def points(name: str, found: list[Draw] = found) -> NDArray[np.float64]:
            return 100 * np.array([each[name] for each in found if name in each])

        def rms(name: str) -> float:
            return float(np.sqrt(np.mean(np.square(points(name))))) if len(points(name)) else np.nan

        def mean(name: str) -> str:
            values = points(name)
            if not len(values):
                return "–"
            return f"{values.mean():+.2f} ± {1.96 * values.std() / len(values) ** 0.5:.2f} ({len(values)})"

        split, folds, predicted = (rms(name) for name in ("split", "folds", "predicted"))
        lines.append(
            (
                size, own[0]["number"], len(own), f"{split:.1f}", f"{folds:.1f} ({folds / split:.2f})",
                f"{predicted:.1f} ({predicted / split:.2f})", mean("folds"), mean("predicted"),
                share(float(np.mean([row["kept"] for row in own]))), mean("above"), mean("peer"),
                f"{points('split width').mean():.0f}" if "split" in own[0] else "–", f"{points('width').mean():.0f}",
                f"{points('covers').mean():.1f}%", f"{points('covers plain').mean():.1f}%",
                f"{np.mean([row['seconds'] for row in own]):.2f}",
            )
        )  # fmt: skip
    return lines


HEADS = (
    "pictures", "folds", "draws", "rms error, split", "folds (ratio)", "predicted (ratio)", "folds less truth",
    "predicted less truth", "kept head", "above the split's", "above the peer", "width, split", "width, folds",
    f"covers, N/{FOLDED}", "covers, Wilson of N", "processor s",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--input", type=int, default=128)
    parser.add_argument("--classes", type=int, default=0, help="number of classes, by default all")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--peer", type=int, default=0)
    parser.add_argument("--folds", type=int, default=0, help="by default as `fit` chooses")
    parser.add_argument("--fit", type=int, default=0)
    parser.add_argument("--folds-only", action="store_true", help="spare the split, for many draws of the coverage")
    parser.add_argument("--out", default=os.devnull)
    asked = parser.parse_args()
    pool = open_pool(open_source(asked.source, asked.classes), asked.weights, asked.input)
    rows: list[Draw] = read_lines(Path(asked.out)) if Path(asked.out).is_file() else []
    done = {(row["size"], row["draw"]) for row in rows}
    with Path(asked.out).open("a") as file:
        for row in draws(pool, asked, done):
            rows.append(row)
            print(json.dumps(row), file=file, flush=True)
    count = f"{pool.classes} classes, {len(pool.targets):,} pictures"
    title = f"{pool.source.name}, {count}, input {asked.input}"
    Console(width=240).print(table(title, [Column(head) for head in HEADS], summed(rows, pool.classes)))
    print(machine_line())


if __name__ == "__main__":
    main()
