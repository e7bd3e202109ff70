"""Scores on sets of which nothing can be learned but a shortcut: labels are drawn at random.

    PENNYWEIGHT_DATA=… python benchmarks/leaks.py [--draws N] [--leaky N] [--only NAME …] [--out FILE]

Two kinds of sets are made of photographs. *Scenes*: several pictures of each scene, whose label is drawn. *Saved*:
each photograph's label is drawn, and the pictures of one class are saved in another way. A network is trained on
every draw with the defaults of `fit`. A draw is honest if the 95% interval of the score holds chance, or, of a saved
set, if `fit` names the shortcut. A 95% interval misses chance in one draw of twenty by luck. The table therefore
tells luck from leaks: it counts the scenes with pictures on both sides, and has the exact probability that a coin,
thrown once for each scene that is scored, is as far from one half as all draws together. `--leaky N` also trains N
draws with `--twins keep`, to show that the network can learn the scenes. `--out` keeps the answers of each draw:
draws in FILE are not trained again.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from scipy.stats import binomtest

import pennyweight as pw
from leaks_sets import (
    CLASSES,
    PHOTOS,
    SAVED,
    SCENE_SETS,
    SCENES,
    SHELF,
    label_scenes,
    make_scenes,
    save_labeled,
)
from pennyweight import data
from pennyweight.core.figures import share
from pennyweight.core.machine import machine_line
from pennyweight.core.run import Run
from pennyweight.data.apart import TwinRule
from pennyweight.data.checks.shortcuts import Shortcut, telling
from pennyweight.data.intervals import share_interval
from pennyweight.report.tables import Column, table
from pennyweight.verbs.answered_source import answer


class Draw(NamedTuple):
    """Answers to the test pictures of a draw, (N,) each, and the facts of the draw."""

    right: Sequence[bool]
    scenes: Sequence[str]
    """Scene of each test picture; of a set without scenes, the picture itself."""
    moments: Sequence[int]
    """Moment of each test picture, as `fit` has found it."""
    parted: int
    """Scenes with pictures in test and in training or validation."""
    named: bool
    """True if `fit` names the shortcut."""

    @property
    def accuracy(self) -> float:
        return statistics.mean(self.right)

    @property
    def holds_chance(self) -> bool:
        low, high = share_interval(np.array(self.right), np.array(self.moments))
        return low <= 0.5 <= high

    @property
    def luck(self) -> tuple[int, int]:
        """Return the scenes of which most pictures are answered rightly, and those of which most are answered wrongly.

        Of a scene that cannot be learned, these are equally likely: its label is drawn once for all of its pictures.
        """
        balance: Counter[str] = Counter()
        for scene, right in zip(self.scenes, self.right, strict=True):
            balance[scene] += 1 if right else -1
        return sum(value > 0 for value in balance.values()), sum(value < 0 for value in balance.values())


def train(root: Path, twins: TwinRule) -> Run:
    """Train a small network until it knows its training pictures."""
    return pw.fit(
        root,
        "resnet_9_x0_25",
        out=f"{root}-{twins}",
        input_size=16,
        twins=twins,
        recipe={"epochs": 10, "batch": 32},
        progress=False,
        preflight=False,
    )


def scene_of(sample: data.Sample) -> str:
    return Path(sample.name).stem.split("_")[0]


def look_at(run: Run, root: Path) -> Draw:
    """Answer the test pictures of a run again, and look up which scenes are on two sides."""
    source = data.open(str(root))
    glances = data.glance_at(source)
    assert glances is not None
    twins = data.twins_among(glances)
    parts = data.split_by_rule(source, twins, "group")
    classifier = pw.load(run)
    pictures = data.make_pictures(source, parts.test, classifier.preprocess)
    right = answer(classifier, pictures).argmax(axis=1) == np.asarray(pictures.targets)
    assert abs(float(right.mean()) - run.evaluation["accuracy"]) < 1e-9
    moments = data.moments_of(source, twins, parts.test)
    assert moments is not None
    learned = {scene_of(sample) for sample in (*parts.train, *parts.val)}
    found = [Shortcut(**each) for each in run.record["shortcuts"] or ()]
    return Draw(
        right.tolist(),
        [scene_of(sample) for sample in parts.test],
        moments.tolist(),
        len(learned & {scene_of(sample) for sample in parts.test}),
        bool(telling(found, run.evaluation["accuracy"])),
    )


def whole(root: Path) -> int:
    """Return the number of scenes whose frames are one cluster of twins, so that no split divides them."""
    source = data.open(str(root))
    found = data.glance_at(source)
    assert found is not None
    scenes = [scene_of(sample) for sample in source.samples]
    clusters = [
        Counter(scenes[number] for number in cluster) for cluster in data.twins_among(found).clusters(len(found))
    ]
    frames = Counter(scenes)
    return sum(any(cluster[scene] == count for cluster in clusters) for scene, count in frames.items())


def row(name: str, draws: Sequence[Draw], kept: str | None, leaky: Sequence[float]) -> tuple[object, ...]:
    """Return the figures of a set as a row of the table."""
    chance, named = [draw.holds_chance for draw in draws], [draw.named for draw in draws]
    right, wrong = (sum(counts) for counts in zip(*(draw.luck for draw in draws), strict=True))
    parted = sum(draw.parted > 0 for draw in draws) if name in SCENE_SETS else None
    return (
        name, kept, statistics.mean(leaky) if leaky else None, statistics.mean(draw.accuracy for draw in draws),
        f"{right} of {right + wrong}", f"{binomtest(right, right + wrong).pvalue:.2f}", parted, len(draws),
        sum(chance), sum(named), sum(chance if name in SCENE_SETS else map(max, chance, named)),
    )  # fmt: skip


COLUMNS = (
    Column("set"),
    Column("scenes that stay whole"),
    Column("accuracy with --twins keep", share),
    Column("accuracy", share),
    Column("scenes answered rightly"),
    Column("p of a coin"),
    Column("draws with a scene on two sides"),
    Column("draws"),
    Column("chance is in the interval"),
    Column("the shortcut is named"),
    Column("honest draws"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--leaky", type=int, default=2, help="draws that are trained with --twins keep, too")
    parser.add_argument("--only", nargs="*", default=[*SCENE_SETS, *SAVED], help="names of sets")
    parser.add_argument("--out", type=Path, help="file of JSON lines for the answers of each draw")
    asked = parser.parse_args()
    photos = sorted((SHELF / "cats-dogs").rglob("*.jpg"))
    if len(photos) < PHOTOS:
        sys.exit("PENNYWEIGHT_DATA has no cats-dogs, of whose photographs the sets are made")
    console = Console()
    known = {}
    if asked.out is not None and asked.out.exists():
        lines = [json.loads(line) for line in asked.out.read_text().splitlines()]
        known = {(line["set"], line["seed"]): Draw(*line["draw"]) for line in lines}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only:
            scenes = make_scenes(SCENE_SETS[name], photos, Path(folder) / "frames" / name) if name in SCENE_SETS else []
            leaky, draws, kept = [], [], None
            for seed in range(asked.draws):
                root = Path(folder) / name / str(seed)
                for label in CLASSES:
                    (root / label).mkdir(parents=True)
                if scenes:
                    label_scenes(scenes, root, seed)
                elif (name, seed) not in known:
                    save_labeled(photos, SAVED[name], root, seed)
                if scenes and not seed:
                    kept = f"{whole(root)} of {SCENES}"  # labels are not looked at
                if (name, seed) not in known:
                    known[name, seed] = look_at(train(root, "group"), root)
                    if asked.out is not None:
                        with asked.out.open("a") as file:
                            print(json.dumps({"set": name, "seed": seed, "draw": known[name, seed]}), file=file)
                draws.append(known[name, seed])
                if scenes and seed < asked.leaky:
                    leaky.append(train(root, "keep").evaluation["accuracy"])
            rows.append(row(name, draws, kept, leaky))
            console.print(*rows[-1])  # each takes minutes
    console.print(table(None, COLUMNS, rows))
    console.print(machine_line())


if __name__ == "__main__":
    main()
