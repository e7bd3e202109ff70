"""Windows of a scene unlike training: a class that was left out is strange, and test windows raise false alarms.

    python benchmarks/scene_strangers.py [--classes 0 1 2 3 4 5] [--splits random blocks] [--cache FOLDER]

HybridSN learns five classes of Salinas-A in windows of 11 by 11 pixels. Typicality is fitted on the features of the
training windows and calibrated on the validation windows, as `fit` does for pictures. The strangers are the windows
around the pixels of the sixth class. With split random, test windows overlap training windows; with blocks, none does.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import pennyweight as pw
from pennyweight.core.machine import machine_line
from pennyweight.core.run import Run
from pennyweight.core.typicality import HeldOut
from pennyweight.data.scenes.open import open_scene
from pennyweight.data.scenes.scene import UNLABELED, Scene
from pennyweight.data.scenes.windows import Padded, SceneWindows
from pennyweight.train.linear_probe import find_last_linear
from pennyweight.train.typicality import fit_training
from pennyweight.verbs.load import restore
from pennyweight.verbs.scenes.load import projection_of
from pennyweight.verbs.scenes.plan import SceneOptions, split_of
from strangers import auroc, log_sum

Rows = NDArray[np.float32]
WINDOW, BATCH = 11, 256


def without(scene: Scene, left_out: int) -> Scene:
    """Return the scene, in which the pixels of a class have no label."""
    kept = [label for label in range(len(scene.labels)) if label != left_out]
    targets = np.full_like(scene.truth, UNLABELED)
    for number, label in enumerate(kept):
        targets[scene.truth == label] = number
    labels, ids = tuple(scene.labels[label] for label in kept), tuple(scene.ids[label] for label in kept)
    return replace(scene, targets=targets, labels=labels, ids=ids)


def features(network: torch.nn.Module, windows: SceneWindows) -> tuple[Rows, Rows]:
    """Return the inputs of the last linear layer and the logits of windows."""
    found: list[Rows] = []
    logits: list[Rows] = []
    hook = find_last_linear(network).register_forward_pre_hook(lambda layer, args: found.append(args[0].numpy()))
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            cut = windows.cut(np.arange(start, min(start + BATCH, len(windows)))).transpose(0, 3, 1, 2)
            logits.append(network(torch.from_numpy(np.ascontiguousarray(cut))).numpy())
    hook.remove()
    return np.concatenate(found), np.concatenate(logits)


def print_row(scene: Scene, left_out: int, kind: str, cache: Path) -> None:
    """Train without a class, and print AUROC, strangers that are caught, and false alarms."""
    known, options = without(scene, left_out), SceneOptions(split=kind, window=WINDOW)  # type: ignore[arg-type]
    folder = cache / f"{kind}-{left_out}"
    if not (folder / "evaluation.json").is_file():
        pw.scene.fit(known, out=folder, scene=options, progress=False, resume=folder.exists())
    run, split = Run(folder), split_of(known, options, 0)
    network, padded = restore(run).eval(), Padded.of(known, projection_of(run), WINDOW)
    strange = np.flatnonzero(scene.truth == left_out)
    train, val, own, others = (
        features(network, SceneWindows(padded, pixels)) for pixels in (split.train, split.val, split.test, strange)
    )
    training = fit_training(*train)
    held_out = HeldOut.of_pictures(training.strangeness(*val), "validation windows")
    far = [training.strangeness(*each).astype(np.float64) for each in (own, others)]
    unsure = [-np.exp(each[1].max(axis=1) - log_sum(each[1].astype(np.float64))) for each in (own, others)]
    limit = np.sort(far[0])[int(np.ceil(0.95 * len(far[0]))) - 1]
    alarms = [float((held_out.typical(far[0].astype(np.float32)) <= level + 1e-12).mean()) for level in (0.01, 0.05)]
    cells = (
        kind, scene.labels[left_out], f"{run.evaluation['overall_accuracy']:.1%}", f"{auroc(*unsure):.3f}",
        f"{auroc(*far):.3f}", f"{(far[1] > limit).mean():.1%}", *(f"{each:.1%}" for each in alarms), str(len(held_out)),
    )  # fmt: skip
    print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", nargs="+", type=int, default=range(6))
    parser.add_argument("--splits", nargs="+", default=["random", "blocks"])
    parser.add_argument("--cache", type=Path, default=Path("scene-strangers"))
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    scene = open_scene("scene:salinas-a")
    for kind in asked.splits:
        for left_out in asked.classes:
            print_row(scene, left_out, kind, asked.cache)
    print(machine_line())


if __name__ == "__main__":
    main()
