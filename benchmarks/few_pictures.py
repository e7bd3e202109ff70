"""Scores of few pictures: a test split against folds, and the head that each of them leaves.

    python benchmarks/few_pictures.py SOURCE [--classes 4] [--sizes 32 64 128 256] [--draws 50] [--input 128]

It draws pictures of each class equally often from SOURCE, and takes the accuracy on all others for the truth. On each
draw it does what `fit` does in mode head: the recipe probe on a split by content, and logistic regression in
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
from pennyweight.data.intervals import FOLDED, interval
from pennyweight.report.tables import Column, table
from pennyweight.train import train
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.linear_probe import Features, extract_features
from pennyweight.train.logistic_head import learn_in_folds
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


def open_pool(source: data.Source, weights: str, size: int) -> Pool:
    """Compute the features of every picture."""
    made = zoo.open_pretrained("mobilenet_v2", weights)
    usual = side_of(made.preprocess.resize) / side_of(made.preprocess.size)
    preprocess = replace(made.preprocess, size=size, resize=round(size * usual))
    pictures = data.make_pictures(source, source.samples, preprocess)
    pictures.read()
    found = extract_features(made.network, pictures, get_recipe("probe"), views=0, seed=0, device=torch.device("cpu"))
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


def in_folds(pool: Pool, chosen: NDArray[np.int64], count: int) -> tuple[float, float, int, Any]:
    """Score in folds; return accuracy, the truth of the head that is kept, correct pictures, and the heads."""
    samples = [pool.source.samples[number] for number in chosen.tolist()]
    targets = pool.targets[chosen]
    folds = data.assign_folds(samples, count or usual_folds(samples, seed=0, clusters={}))
    found = learn_in_folds(pool.values[chosen], targets, folds, classes=pool.classes)
    correct = int((found.logits.argmax(axis=1) == targets).sum())
    right = found.head.logits(pool.values).argmax(axis=1) == pool.targets
    return correct / len(chosen), _truth(right, chosen), correct, found


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
            started = process_time()
            scored, truth, correct, found = in_folds(pool, chosen, asked.folds)
            seconds = process_time() - started
            if number < asked.fit:
                require_equal(pool, chosen, scored, found)
            row: Draw = {
                "size": size,
                "draw": number,
                "folds": scored,
                "kept": truth,
                "correct": correct,
                "seconds": seconds,
            }
            if not asked.folds_only:
                row |= dict(zip(("split", "taught", "test"), by_split(pool, chosen), strict=True))
            if number < asked.peer:
                row["peer"] = by_peer(pool, chosen)
            yield row


def summed(rows: list[Draw]) -> list[tuple[Any, ...]]:
    """Return a row of the table for each size."""
    of: dict[int, list[Draw]] = defaultdict(list)
    for row in rows:
        of[row["size"]].append(row)
    lines = []
    for size, own in sorted(of.items()):
        kept = np.array([row["kept"] for row in own])
        error = np.sqrt(np.mean(np.square([row["folds"] - row["kept"] for row in own])))
        found = [interval(row["correct"], size, folded=True) for row in own]
        plain = [interval(row["correct"], size) for row in own]
        covered, covered_plain = (
            np.mean([low <= row["kept"] <= high for (low, high), row in zip(each, own, strict=True)])
            for each in (found, plain)
        )
        split = [row for row in own if "split" in row]
        off = np.sqrt(np.mean(np.square([row["split"] - row["taught"] for row in split]))) if split else np.nan
        gained = np.mean([row["kept"] - row["taught"] for row in split]) if split else np.nan
        peers = [row["kept"] - row["peer"] for row in own if "peer" in row]
        lines.append(
            (
                size, len(own), f"{100 * off:.1f}", f"{100 * error:.1f}", share(float(kept.mean())),
                f"{100 * gained:+.1f}", f"{100 * np.mean(peers):+.2f} ({len(peers)})" if peers else "–",
                share(float(np.mean([high - low for low, high in found]))), share(float(covered)),
                share(float(covered_plain)), f"{np.mean([row['seconds'] for row in own]):.1f}",
            )
        )  # fmt: skip
    return lines


HEADS = (
    "pictures", "draws", "rms error, split", "rms error, folds", "kept head", "above the split's", "above the peer",
    "width", f"covers, N/{FOLDED}", "covers, N", "processor s",
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
    source = data.open(asked.source)
    samples = [sample for sample in source.samples if not asked.classes or sample.label < asked.classes]
    samples = [replace(sample, split=None) for sample in samples]
    labels = source.labels[: asked.classes or None]
    pool = open_pool(replace(source, samples=tuple(samples), labels=labels), asked.weights, asked.input)
    rows: list[Draw] = read_lines(Path(asked.out)) if Path(asked.out).is_file() else []
    done = {(row["size"], row["draw"]) for row in rows}
    with Path(asked.out).open("a") as file:
        for row in draws(pool, asked, done):
            rows.append(row)
            print(json.dumps(row), file=file, flush=True)
    title = f"{source.name}, {len(labels)} classes, {len(samples):,} pictures, input {asked.input}"
    Console(width=200).print(table(title, [Column(head) for head in HEADS], summed(rows)))
    print(machine_line())


if __name__ == "__main__":
    main()
