"""Pictures unlike training: how well the methods of the field tell them from own pictures that were not trained on.

    python benchmarks/strangers.py [--cases pets animals scratch] [--cache FOLDER] [--weights FILE] [--false-alarms]

`pets` trains on the cats and dogs (features of MobileNetV2) and shows the ImageNet photographs without dogs, cats and
their wild kin. `animals` knows four animals of CIFAR-10 at 128 pixels, and the other six classes are strangers.
`scratch` trains a ResNet-9 on six classes of CIFAR-10; its strangers are the other four classes, digits in color, the
photographs at 32 pixels, textures and noise. Features and networks are kept in `--cache`. AUROC is the probability that
a stranger has a higher score than an own picture; "caught" are the strangers above 95% of the own pictures.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.figures import share
from pennyweight.core.frame import side_of
from pennyweight.core.machine import machine_line
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.typicality import HeldOut, Training
from pennyweight.report.tables import Column, table
from pennyweight.train.linear_probe import extract_features, find_last_linear
from pennyweight.train.logistic_head import FoldedHeads, answer_left_out, learn_in_folds
from pennyweight.train.presets import get_recipe
from pennyweight.train.typicality import LeftOut, fit_training, strangeness_left_out
from pennyweight.verbs.load import preprocess_of, restore

Rows = NDArray[np.float64]
Score = Callable[[Rows], Rows]
"""Function of features (N, F) that returns a higher number for a stranger picture, (N,)."""

PETS = range(151, 294)
"""ImageNet's classes of dogs, wolves, foxes, cats and their wild kin."""
FOUR = (2, 3, 4, 5)
"""Classes of CIFAR-10 that `animals` knows: bird, cat, deer, dog."""
SIX = (0, 1, 3, 5, 7, 8)
"""Classes of CIFAR-10 that `scratch` knows."""


@dataclass(frozen=True)
class Case:
    """Features of a network for training pictures, for own pictures that it has not seen, and for strangers."""

    train: Rows
    targets: NDArray[np.int64]
    own: Rows
    own_targets: NDArray[np.int64]
    strangers: Mapping[str, Rows]
    weight: Rows
    """Weights of the last layer, (classes, F)."""
    bias: Rows

    def logits(self, values: Rows) -> Rows:
        """Return the logits of features. (N, F) -> (N, classes)"""
        return values @ self.weight.T + self.bias


def log_sum(logits: Rows) -> Rows:
    """Return the logarithm of the sum of exponentials of each row."""
    highest = logits.max(axis=1)
    found: Rows = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return found


def largest_probability(case: Case) -> Score:
    """Return the largest probability's complement (Hendrycks & Gimpel 2017)."""
    return lambda values: -np.exp(case.logits(values).max(axis=1) - log_sum(case.logits(values)))


def largest_logit(case: Case) -> Score:
    """Return the negative largest logit (Hendrycks 2022)."""
    return lambda values: -case.logits(values).max(axis=1)


def energy(case: Case) -> Score:
    """Return the energy of the logits (Liu 2020)."""
    return lambda values: -log_sum(case.logits(values))


def react(case: Case) -> Score:
    """Return the energy after features are clipped at the 90th percentile (Sun 2021)."""
    limit = np.quantile(case.train, 0.9)
    return lambda values: -log_sum(case.logits(values.clip(max=limit)))


def unit(values: Rows) -> Rows:
    """Return rows of length 1."""
    found: Rows = values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-12)
    return found


def nearest(case: Case, k: int = 5, scale: Callable[[Rows], Rows] = unit) -> Score:
    """Return the distance to the k-th nearest training picture (Sun 2022 with features of length 1)."""
    train = scale(case.train)
    square = np.square(train).sum(axis=1)

    def score(values: Rows) -> Rows:
        values = scale(values)
        found: Rows = np.square(values).sum(axis=1)[:, None] + square - 2 * values @ train.T
        return np.partition(found, k - 1, axis=1)[:, k - 1]

    return score


def principal(train: Rows, k: int) -> tuple[Rows, Rows, Rows]:
    """Return mean (F,), the k principal directions (k, F), and the variance along every direction."""
    mean = train.mean(axis=0)
    _, sizes, turn = np.linalg.svd(train - mean, full_matrices=False)
    return mean, turn[:k], np.square(sizes) / len(train)


def span(case: Case, k: int = 32, scale: Callable[[Rows], Rows] = lambda values: values) -> Score:
    """Return the distance to the span of k principal directions of the training features."""
    mean, turn, _ = principal(scale(case.train), k)

    def score(values: Rows) -> Rows:
        centered = scale(values) - mean
        found: Rows = np.square(centered).sum(axis=1) - np.square(centered @ turn.T).sum(axis=1)
        return found

    return score


def probable_span(case: Case, k: int = 32, scale: Callable[[Rows], Rows] = lambda values: values) -> Score:
    """Return the negative likelihood of probabilistic principal components (Tipping & Bishop 1999)."""
    mean, turn, variances = principal(scale(case.train), k)
    rest = variances[k:].sum() / max(1, case.train.shape[1] - k)

    def score(values: Rows) -> Rows:
        centered = scale(values) - mean
        along = np.square(centered @ turn.T)
        found: Rows = (along / variances[:k]).sum(axis=1) + (np.square(centered).sum(axis=1) - along.sum(axis=1)) / rest
        return found

    return score


def means(case: Case, each: int = 8, scale: Callable[[Rows], Rows] = lambda values: values) -> Score:
    """Return the distance to the nearest of several means of each class."""
    from sklearn.cluster import KMeans

    train = scale(case.train)
    own = [train[case.targets == label] for label in np.unique(case.targets)]
    centers = np.concatenate(
        [KMeans(min(each, len(rows)), n_init=1, random_state=0).fit(rows).cluster_centers_ for rows in own]
    )

    def score(values: Rows) -> Rows:
        values = scale(values)
        square = np.square(values).sum(axis=1)[:, None] + np.square(centers).sum(axis=1)
        found: Rows = (square - 2 * values @ centers.T).min(axis=1)
        return found

    return score


def mahalanobis(case: Case, *, relative: bool = False) -> Score:
    """Return the distance to the nearest class mean by the shared covariance (Lee 2018; `relative`, Ren 2021)."""
    from sklearn.covariance import empirical_covariance, ledoit_wolf

    centers = np.stack([case.train[case.targets == label].mean(axis=0) for label in np.unique(case.targets)])
    places = np.searchsorted(np.unique(case.targets), case.targets)
    within, shrinkage = ledoit_wolf(case.train - centers[places])
    inverse = np.linalg.inv(within)
    mean, everything = case.train.mean(axis=0), empirical_covariance(case.train)
    floor = shrinkage * np.trace(within) / len(within)  # of both, so that directions without variance cancel
    whole = np.linalg.inv((1 - shrinkage) * everything + floor * np.eye(len(within)))

    def score(values: Rows) -> Rows:
        turned = values @ inverse
        inside = (values * turned).sum(axis=1)[:, None] - 2 * turned @ centers.T
        found: Rows = (inside + ((centers @ inverse) * centers).sum(axis=1)).min(axis=1)
        if relative:
            found = found - (((values - mean) @ whole) * (values - mean)).sum(axis=1)
        return found

    return score


def vim(case: Case, k: int = 32) -> Score:
    """Return the distance to the span, in the unit of logits, and the energy together (ViM, Wang 2022)."""
    far = span(case, k)
    alpha = case.logits(case.train).max(axis=1).mean() / np.sqrt(far(case.train)).mean()
    return lambda values: alpha * np.sqrt(far(values).clip(0)) - log_sum(case.logits(values))


def with_energy(case: Case, method: Callable[[Case], Score]) -> Score:
    """Return a distance in the unit of logits, less the logarithm of the sum of their exponentials."""
    far = method(case)
    scale = case.logits(case.train).max(axis=1).mean() / far(case.train).mean()
    return lambda values: scale * far(values) - log_sum(case.logits(values))


def kept_with_runs(case: Case) -> Score:
    """Return the strangeness that `fit` keeps: probabilistic principal components at length 1, and energy."""
    training = fit_training(case.train.astype(np.float32), case.logits(case.train).astype(np.float32))

    def score(values: Rows) -> Rows:
        return training.strangeness(values.astype(np.float32), case.logits(values).astype(np.float32)).astype(
            np.float64
        )

    return score


METHODS: Mapping[str, Callable[[Case], Score]] = {
    "largest probability": largest_probability,
    "largest logit": largest_logit,
    "energy": energy,
    "ReAct": react,
    "5th nearest": partial(nearest, scale=lambda values: values),
    "5th nearest, length 1": nearest,
    "8 means a class": means,
    "8 means a class, length 1": partial(means, scale=unit),
    "Mahalanobis": mahalanobis,
    "relative Mahalanobis": partial(mahalanobis, relative=True),
    "span of 16": partial(span, k=16),
    "span of 32": span,
    "span of 64": partial(span, k=64),
    "span of 32, length 1": partial(span, scale=unit),
    "probable span of 32": probable_span,
    "probable span of 32, length 1": partial(probable_span, scale=unit),
    "ViM, 32": vim,
    "8 means a class, length 1, and energy": partial(with_energy, method=partial(means, scale=unit)),
    "5th nearest, length 1, and energy": partial(with_energy, method=nearest),
    "span of 32, length 1, and energy": partial(with_energy, method=partial(span, scale=unit)),
    "probable span of 32, length 1, and energy (kept)": kept_with_runs,
}


def auroc(own: Rows, strangers: Rows) -> float:
    """Return the probability that a stranger scores above an own picture."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([0, 1], [len(own), len(strangers)]), np.concatenate([own, strangers])))


def figures(case: Case, method: Callable[[Case], Score]) -> dict[str, tuple[float, float]]:
    """Return AUROC, and the share of strangers above 95% of the own pictures, for each kind of strangers."""
    score = method(case)
    own = score(case.own)
    limit = np.sort(own)[int(np.ceil(0.95 * len(own))) - 1]
    found = {name: score(rows) for name, rows in case.strangers.items()}
    return {name: (auroc(own, rows), float((rows > limit).mean())) for name, rows in found.items()}


def features(network: Any, source: data.Source, samples: Any, preprocess: Preprocess) -> tuple[Rows, Any]:
    """Compute the features of pictures, and return them with the classes."""
    pictures = data.make_pictures(source, tuple(samples), preprocess)
    pictures.read()
    found = extract_features(network, pictures, get_recipe("probe"), views=0, seed=0, device=torch.device("cpu"))
    return found.values[0].astype(np.float64), found.targets[0]


def only(source: data.Source, classes: Any, split: str | None = None, most: int = 0) -> data.Source:
    """Return the source with some of its classes, numbered from 0, and at most `most` pictures of each."""
    place = {label: number for number, label in enumerate(classes)}
    taken, left = [], dict.fromkeys(classes, most or len(source.samples))
    for sample in source.samples:
        if sample.label in place and split in (None, sample.split) and left[sample.label]:
            left[sample.label] -= 1
            taken.append(replace(sample, label=place[sample.label]))
    return replace(source, samples=tuple(taken), labels=tuple(source.labels[label] for label in classes))


def photographs(classes: Callable[[int], bool]) -> data.Source:
    """Return the shared ImageNet photographs of the classes whose number passes."""
    source = data.open("imagenet-photos")
    folder = Path(source.samples[0].picture).parent.parent  # type: ignore[arg-type]
    index = json.loads((folder / "imagenet_class_index.json").read_text())
    number = {name: int(place) for place, (name, _) in index.items()}
    return only(source, [place for place, name in enumerate(source.labels) if classes(number[name])])


def with_logistic_head(network: Any, train: data.Source, own: data.Source, others: data.Source, at: Any) -> Case:
    """Return the case of a frozen network with a logistic regression."""
    rows, targets = features(network, train, train.samples, at)
    folds = np.arange(len(targets)) % 5
    head = learn_in_folds(rows.astype(np.float32), targets, folds, classes=len(train.labels)).head
    return Case(
        rows, targets, *features(network, own, own.samples, at),
        {"strangers": features(network, others, others.samples, at)[0]},
        head.weight.astype(np.float64), head.bias.astype(np.float64),
    )  # fmt: skip


def pets(cache: Path, weights: str) -> Case:
    """Return cats and dogs against photographs of other things, by MobileNetV2 at 224 pixels."""
    made, source = zoo.open_pretrained("mobilenet_v2", weights), data.open("cats-dogs")
    train, own = only(source, (0, 1), "train"), only(source, (0, 1), "val")
    return with_logistic_head(made.network, train, own, photographs(lambda n: n not in PETS), made.preprocess)


def animals(cache: Path, weights: str) -> Case:
    """Return four animals against the six other classes of CIFAR-10, by MobileNetV2 at 128 pixels."""
    made, source = zoo.open_pretrained("mobilenet_v2", weights), data.open("cifar10-lossless")
    usual = side_of(made.preprocess.resize) / side_of(made.preprocess.size)
    at = replace(made.preprocess, size=128, resize=round(128 * usual))
    others = only(source, [label for label in range(10) if label not in FOUR], "test")
    return with_logistic_head(made.network, only(source, FOUR, "train"), only(source, FOUR, "test"), others, at)


def scratch(cache: Path, weights: str) -> Case:
    """Return six classes of CIFAR-10 against five kinds of strangers, by a ResNet-9 trained from scratch."""
    source, folder = data.open("cifar10-jpeg"), cache / "resnet-9"
    if not (folder / "evaluation.json").is_file():
        pw.fit(
            only(source, SIX, "train", 1200), "resnet_9", out=folder, weights="none", progress=False, twins="keep",
            resume=folder.exists(), recipe={"epochs": 7}, config={"width": 0.5}, preflight=False, folds=1,
        )  # fmt: skip
    run = Run(folder)
    network, at = restore(run), preprocess_of(run)
    own, train = only(source, SIX, "test"), only(source, SIX, "train", 700)
    made = {name: draw(np.random.default_rng(0)) for name, draw in MADE.items()}
    held = only(source, [label for label in range(10) if label not in SIX], "test", 300)
    kinds = {
        "held-out classes": held, "photographs": photographs(lambda number: True), **{
            name: data.open((pictures, np.arange(len(pictures)) % 2)) for name, pictures in made.items()
        },
    }  # fmt: skip
    rows, targets = features(network, train, train.samples, at)
    layer = find_last_linear(network)
    bias = np.zeros(len(SIX)) if layer.bias is None else layer.bias.detach().numpy().astype(np.float64)
    return Case(
        rows, targets, *features(network, own, own.samples[::6], at),
        {name: features(network, each, each.samples, at)[0] for name, each in kinds.items()},
        layer.weight.detach().numpy().astype(np.float64), bias,
    )  # fmt: skip


def colored_digits(draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return scikit-learn's digits at 32 pixels, in two colors each."""
    from sklearn.datasets import load_digits

    mask = load_digits().images[:1000].repeat(4, 1).repeat(4, 2)[..., None] / 16
    ink, paper = draw.integers(0, 256, (2, len(mask), 1, 1, 3))
    found: NDArray[np.uint8] = (mask * ink + (1 - mask) * paper).round().astype(np.uint8)
    return found


def textures(draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return stripes, weaves and checkers of random periods, turns and colors."""
    y, x = np.mgrid[:32, :32]
    found = []
    for number in range(1000):
        turn, period = draw.uniform(0, np.pi), draw.uniform(3, 16)
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        wave, other = (np.sin(2 * np.pi * each / period) for each in (along, across))
        mask = ((wave, (wave + other) / 2, np.sign(wave * other))[number % 3] + 1)[..., None] / 2
        one, two = draw.integers(0, 256, (2, 3))
        found.append(mask * one + (1 - mask) * two + draw.normal(0, 4, (32, 32, 3)))
    return np.stack(found).clip(0, 255).astype(np.uint8)


def noise(draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return noise: even, normal, and normal with neighbors alike."""
    even, normal = draw.integers(0, 256, (334, 32, 32, 3)), draw.normal(128, 50, (333, 32, 32, 3))
    coarse = draw.normal(128, 60, (333, 8, 8, 3)).repeat(4, 1).repeat(4, 2)
    return np.concatenate([even, normal, coarse]).clip(0, 255).astype(np.uint8)


MADE: Mapping[str, Callable[[np.random.Generator], NDArray[np.uint8]]] = {
    "digits in color": colored_digits,
    "textures": textures,
    "noise": noise,
}


def digits(cache: Path, weights: str) -> Case:
    """Return scikit-learn's digits by MobileNetV2 at 64 pixels, without strangers."""
    made, source = zoo.open_pretrained("mobilenet_v2", weights), data.open("digits")
    at = replace(made.preprocess, size=64, resize=64)
    rows, targets = features(made.network, source, source.samples, at)
    return Case(rows[1:], targets[1:], rows[:1], targets[:1], {}, np.zeros((10, rows.shape[1])), np.zeros(10))


def in_parts(rows: NDArray[np.float32], targets: NDArray[np.int64], found: FoldedHeads, count: int) -> list[LeftOut]:
    """Leave out each of `count` parts in turn, and answer it by a head of all others, as `fit` does with 20 parts."""
    parts = np.arange(len(targets)) % count
    own = [parts == part for part in range(count)]
    answers = answer_left_out(rows, targets, own, strength=found.strength, classes=len(found.head.bias))
    return list(map(LeftOut, own, answers))


def false_alarms(case: Case, division: int) -> dict[str, tuple[int, int, int, int]]:
    """Divide the own pictures again, and count false alarms at 1% and 5% by validation pictures and in parts.

    Half of the pictures, at most 400, teach; the rest are validation and test pictures in equal parts. Returns false
    alarms at 1%, at 5%, test pictures and held-out pictures for each way of calibration.
    """
    values = np.concatenate([case.train, case.own]).astype(np.float32)
    targets = np.concatenate([case.targets, case.own_targets])
    order = np.random.default_rng(division).permutation(len(values))
    taught, others = np.split(order, [min(400, len(order) // 2)])
    held, test = np.array_split(others[:1600], 2)
    folds = np.arange(len(taught)) % 5
    found = learn_in_folds(values[taught], targets[taught], folds, classes=int(targets.max()) + 1)
    by_split = fit_training(values[taught], found.head.logits(values[taught]))
    by_folds = fit_training(values[taught], found.logits)

    def strange(training: Training, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return training.strangeness(values[rows], found.head.logits(values[rows]))

    ways = {"validation": (by_split, HeldOut.of_pictures(strange(by_split, held), "validation pictures"))}
    parts = {count: in_parts(values[taught], targets[taught], found, count) for count in (5, 20)}
    for count, heads in ((5, 5), (20, 20), (20, 5), (5, 20)):
        answers = np.empty_like(found.logits)
        for own, logits in parts[heads]:
            answers[own] = logits
        left_out = [LeftOut(own, answers[own]) for own, _ in parts[count]]
        unseen = strangeness_left_out(values[taught], found.logits, left_out)
        way = f"{count} parts" if count == heads else f"{count} parts, heads of {heads}"
        ways[way] = by_folds, HeldOut.of_pictures(unseen, "out-of-fold pictures")
    counts = {}
    for way, (training, held_out) in ways.items():
        typical = held_out.typical(strange(training, test))
        one, five = (int((typical <= level + 1e-12).sum()) for level in (0.01, 0.05))
        counts[way] = one, five, len(test), len(held_out)
    return counts


def bounds(level: float, held_out: int, test: int) -> tuple[int, int]:
    """Return the 95% interval of false alarms of a division: beta-binomial, because the held-out pictures vary too."""
    from scipy.stats import betabinom

    flagged = int(np.floor(level * (held_out + 1) + 1e-9))
    if not flagged:
        return 0, 0
    spread = betabinom(test, flagged, held_out + 1 - flagged)
    return int(spread.ppf(0.025)), int(spread.ppf(0.975))


def print_false_alarms(name: str, case: Case) -> None:
    """Print the false alarms of 20 divisions."""
    rows: dict[str, list[tuple[int, int, int, int]]] = {}
    for division in range(20):
        for way, counts in false_alarms(case, division).items():
            rows.setdefault(way, []).append(counts)
    for way, found in rows.items():
        for place, level in enumerate((0.01, 0.05)):
            test, held_out = found[0][2:]
            low, high = bounds(level, held_out, test)
            inside = sum(low <= row[place] <= high for row in found)
            rate = sum(row[place] for row in found) / sum(row[2] for row in found)
            expected = np.floor(level * (held_out + 1) + 1e-9) / (held_out + 1)
            figures = (share(level), f"{100 * expected:.2f}%", f"{100 * rate:.2f}%", f"{inside} of 20")
            print("|", " | ".join((name, way, str(held_out), str(test), *figures)), "|", flush=True)


CASES: Mapping[str, Callable[[Path, str], Case]] = {"pets": pets, "animals": animals, "scratch": scratch}
DIVIDED: Mapping[str, Callable[[Path, str], Case]] = {"pets": pets, "animals": animals, "digits": digits}


def cached(name: str, cache: Path, weights: str) -> Case:
    """Return a case, of whose arrays a file is kept."""
    path = cache / f"{name}.npz"
    if not path.is_file():
        case = {**CASES, **DIVIDED}[name](cache, weights)
        rest: dict[str, Any] = {f"strangers {kind}": rows for kind, rows in case.strangers.items()}
        np.savez(
            path,
            train=case.train,
            targets=case.targets,
            own=case.own,
            weight=case.weight,
            bias=case.bias,
            own_targets=case.own_targets,
            **rest,
        )
    with np.load(path) as kept:
        values = {key: kept[key] for key in kept.files}
    kinds = {key.removeprefix("strangers "): values.pop(key) for key in list(values) if key.startswith("strangers ")}
    return Case(strangers=kinds, **values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--cache", type=Path, default=Path("strangers-features"))
    parser.add_argument("--false-alarms", action="store_true", help="count false alarms in 20 divisions instead")
    parser.add_argument("--weights", default="imagenet", help="of MobileNetV2")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    if asked.false_alarms:
        for name in DIVIDED:
            print_false_alarms(name, cached(name, asked.cache, asked.weights))
        print(machine_line())
        return
    cases = {name: cached(name, asked.cache, asked.weights) for name in asked.cases}
    heads = [
        f"{name}: {kind}" if name == "scratch" else name for name, case in cases.items() for kind in case.strangers
    ]
    rows = []
    for method, make in METHODS.items():
        found = [each for case in cases.values() for each in figures(case, make).values()]
        cells = [f"{area:.3f} {share(caught)}" for area, caught in found]
        rows.append((method, *cells, f"{np.mean([area for area, _ in found]):.3f}"))
        print(*rows[-1], sep=" | ", flush=True)
    title = "strangers: AUROC, and caught at 5% false alarms"
    Console(width=220).print(table(title, [Column(head) for head in ("method", *heads, "mean")], rows))
    print(machine_line())


if __name__ == "__main__":
    main()
