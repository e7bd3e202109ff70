"""Heads for few pictures: augmented views and cosine prototypes against logistic regression on the same draws.

    python benchmarks/few_heads.py SOURCE [--classes 4] [--size 64] [--draws 10] [--input 128] [--views 8]

It draws pictures as few_pictures.py does, and computes augmented views of the drawn ones. Each head's accuracy on all
other pictures is given as the difference from that of the head that `fit` keeps, with its 95% interval over the draws.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from few_pictures import Pool, by_peer, open_network, open_pool, open_source, truth_of
from pennyweight import data
from pennyweight.core.files import read_lines
from pennyweight.core.machine import machine_line
from pennyweight.train.linear_probe import Features, extract_features
from pennyweight.train.logistic_head import Head, learn_in_folds
from pennyweight.train.presets import get_recipe
from pennyweight.verbs.fitting.choose_folds import usual_folds

Chosen = NDArray[np.int64]


def views_of(pool: Pool, chosen: Chosen, views: int) -> Features:
    """Compute the features of augmented views of some pictures."""
    network, preprocess = open_network(pool.options["weights"], pool.options["input_size"])
    samples = tuple(pool.source.samples[number] for number in chosen.tolist())
    pictures = data.make_pictures(replace(pool.source, samples=samples), samples, preprocess)
    pictures.read()
    recipe, device = get_recipe("logistic"), torch.device("cpu")
    return extract_features(network, pictures, recipe, views=views, seed=0, device=device).unshuffled(0)


def prototypes(pool: Pool, chosen: Chosen) -> Head:
    """Return the head that answers with the class whose mean direction is nearest by cosine."""
    rows = pool.values[chosen] / np.linalg.norm(pool.values[chosen], axis=1, keepdims=True)
    means = np.stack([rows[pool.targets[chosen] == label].mean(axis=0) for label in range(pool.classes)])
    return Head(means / np.linalg.norm(means, axis=1, keepdims=True), np.zeros(pool.classes, np.float32))


def compared(pool: Pool, chosen: Chosen, seen: Features, place: dict[int, int]) -> dict[str, Any]:
    """Return the accuracy of each head, and the processor seconds of logistic regressions."""
    samples = [pool.source.samples[number] for number in chosen.tolist()]
    folds = data.assign_folds(samples, usual_folds(samples, seed=0, clusters={}))
    rows = [place[number] for number in chosen.tolist()]
    most = len(seen.values)
    teaching = {"kept": None, "plain and views": np.concatenate([pool.values[None, chosen], seen.values[:4, rows]])}
    teaching |= {f"views {count}": seen.values[:count, rows] for count in (1, 4, 8) if count <= most}
    found: dict[str, Any] = {}
    for name, views in teaching.items():
        started = process_time()
        learned = learn_in_folds(pool.values[chosen], pool.targets[chosen], folds, classes=pool.classes, views=views)
        found[f"{name} s"] = process_time() - started
        found[name] = truth_of(pool, chosen, learned.head)
    found["prototypes"] = truth_of(pool, chosen, prototypes(pool, chosen))
    found["LogisticRegressionCV"] = by_peer(pool, chosen)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--input", type=int, default=128)
    parser.add_argument("--classes", type=int, default=0, help="number of classes, by default all")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--out", default=os.devnull)
    asked = parser.parse_args()
    pool = open_pool(open_source(asked.source, asked.classes), asked.weights, asked.input)
    drawn = [pool.draw(asked.size, 1000 * asked.size + number) for number in range(asked.draws)]
    every = np.unique(np.concatenate(drawn))
    seen = views_of(pool, every, asked.views)
    place = {number: row for row, number in enumerate(every.tolist())}
    with Path(asked.out).open("a") as file:
        for number, chosen in enumerate(drawn):
            print(json.dumps({"draw": number, **compared(pool, chosen, seen, place)}), file=file, flush=True)
    rows = read_lines(Path(asked.out))
    for name in [name for name in rows[0] if name not in ("draw", "kept") and not name.endswith(" s")]:
        less = 100 * np.array([row[name] - row["kept"] for row in rows])
        taken = f", {np.mean([row[f'{name} s'] for row in rows]):.2f} s" if f"{name} s" in rows[0] else ""
        print(f"{name}: {less.mean():+.2f} ± {1.96 * less.std() / len(less) ** 0.5:.2f} points ({len(less)}){taken}")
    print(machine_line())


if __name__ == "__main__":
    main()
