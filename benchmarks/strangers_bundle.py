"""Strangers to a bundle of cats and dogs: caught in float, in int8 and by OpenVINO, and the cost in bytes and time.

    python benchmarks/strangers_bundle.py [--cache FOLDER] [--weights FILE] [--finetuned]

The network is MobileNetV2 with a logistic regression on the 400 training pictures, calibrated in 20 parts. Own
pictures are the 150 others; strangers are the photographs of `pets` in strangers.py. Times are of the calling thread,
in turns with the same graph without the output.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.machine import machine_line
from pennyweight.core.typicality import HeldOut
from pennyweight.deploy import Int8Pictures, export_bundle, to_int8
from pennyweight.train.linear_probe import find_last_linear
from pennyweight.train.logistic_head import learn_in_folds
from pennyweight.train.typicality import fit_training, strangeness_left_out
from pennyweight.verbs.bundle_contents import Contents
from pennyweight.verbs.export import manifest_of
from strangers import PETS, auroc, cached, in_parts, only, photographs

PASSES = 600


def make_contents(cache: Path, weights: str) -> Contents:
    """Return the network with its head and its typicality, from the features that strangers.py keeps."""
    case = cached("pets", cache, weights)
    features, targets = case.train.astype(np.float32), case.targets
    made = zoo.open_pretrained("mobilenet_v2", weights)
    model = {**made.model, "num_classes": 2}
    network = zoo.build(**model)
    trunk = {name: value for name, value in made.network.state_dict().items() if "head.linear" not in name}
    network.load_state_dict(trunk, strict=False)
    folds = np.arange(len(targets)) % 5
    found = learn_in_folds(features, targets, folds, classes=2)
    layer = find_last_linear(network)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(found.head.weight))
        layer.bias.copy_(torch.from_numpy(found.head.bias))
    unseen = strangeness_left_out(features, found.logits, in_parts(features, targets, found, 20))
    held_out = HeldOut.of_pictures(unseen, "out-of-fold pictures")
    return Contents(
        network=network.eval(), model=model, labels=("cats", "dogs"), preprocess=made.preprocess,
        typicality=(fit_training(features, found.logits), held_out),
    )  # fmt: skip


def export(contents: Contents, path: Path, *, int8: bool) -> None:
    """Write the bundle, calibrated for int8 on a third of the training pictures."""
    source = only(data.open("cats-dogs"), (0, 1), "train")
    pictures: list[Any] = [sample.picture for sample in source.samples]
    quantize = None
    if int8:
        pixels = np.stack([contents.preprocess(picture) for picture in pictures[::3]])
        targets = np.array([sample.label for sample in source.samples[::3]])
        shown = Int8Pictures(
            calibration=pixels[:60],
            calibrated_on="training",
            gate=pixels[60:],
            targets=targets[60:],
            gated_on="training",
        )
        quantize = partial(to_int8, pictures=shown, max_drop=0.05)
    export_bundle(
        contents.network, path, manifest_of(contents), pictures[::7],
        of="training pictures", typicality=contents.typicality, quantize=quantize,
    )  # fmt: skip


def print_caught(name: str, classifier: pw.Classifier) -> None:
    """Print the own pictures that are flagged, the strangers that are caught, and the AUROC of the strangeness."""
    own: list[Any] = [sample.picture for sample in only(data.open("cats-dogs"), (0, 1), "val").samples]
    strangers: list[Any] = [sample.picture for sample in photographs(lambda number: number not in PETS).samples]
    strangeness, typical, unsure = [], [], []
    for pictures in (own, strangers):
        answers = classifier.predict(pictures)
        typical.append(np.array([answer.typical for answer in answers], np.float64))
        unsure.append(np.array([-answer.probability for answer in answers]))
        pixels = [classifier.preprocess(picture) for picture in pictures]
        engine: Any = classifier.engine
        parts = [np.stack(pixels[start : start + 16]) for start in range(0, len(pixels), 16)]
        strangeness.append(np.concatenate([engine.with_strangeness(part).strangeness for part in parts]))
    counts = [f"{(values <= level).sum()} of {len(values)}" for level in (0.01, 0.05) for values in typical]
    print("|", name, "|", " | ".join(counts), "|", f"{auroc(strangeness[0], strangeness[1]):.4f}", "|", flush=True)
    print(f"largest probability: AUROC {auroc(unsure[0], unsure[1]):.3f}", flush=True)


def print_cost(path: Path) -> None:
    """Print bytes, and the processor's milliseconds of one picture, with the output and without."""
    model = onnx.load(path)
    for parts in (model.graph.output, model.graph.node, model.graph.initializer):
        for number, part in reversed(list(enumerate(parts))):
            if part.name.startswith("strangeness"):
                del parts[number]
    bare = path.with_suffix(".bare.onnx")
    onnx.save(model, bare)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(each, options) for each in (path, bare)]
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    names = (["probabilities", "strangeness"], ["probabilities"])
    assert np.array_equal(*(session.run(["probabilities"], {"images": pixels})[0] for session in sessions))
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(PASSES):
        for place in (turn % 2, 1 - turn % 2):
            started = time.thread_time()
            sessions[place].run(names[place], {"images": pixels})
            seconds[place].append(time.thread_time() - started)
    for what, quantile in (("least", 0), ("median", 50)):
        with_it, without = (1000 * float(np.percentile(each, quantile)) for each in seconds)
        print(f"{what} ms: {with_it:.3f} with the output, {without:.3f} without, ratio {with_it / without:.4f}")
    print(f"bytes: {path.stat().st_size:,} with the output, {bare.stat().st_size:,} without")


def fine_tune(folder: Path, weights: str) -> pw.Classifier:
    """Return MobileNetV2 that was fine-tuned on the cats and dogs for four epochs after its head."""
    if not (folder / "evaluation.json").is_file():
        recipe = {"mode": "finetune", "epochs": 4}
        pw.fit(
            "cats-dogs", "mobilenet_v2", weights=weights, out=folder, recipe=recipe, input_size=128, preflight=False,
            resume=folder.exists(),
        )  # fmt: skip
    return pw.load(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("strangers-features"))
    parser.add_argument("--weights", default="imagenet", help="of MobileNetV2")
    parser.add_argument("--finetuned", action="store_true", help="a run at 128 pixels that is fine-tuned, instead")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    if asked.finetuned:
        print_caught("fine-tuned", fine_tune(asked.cache / "finetuned", asked.weights))
        return
    contents = make_contents(asked.cache, asked.weights)
    for form in ("float", "int8"):
        path = asked.cache / f"pets-{form}.onnx"
        export(contents, path, int8=form == "int8")
        print_caught(form, pw.load(path))
        if form == "float":
            print_cost(path)  # before OpenVINO's threads are there
            print_caught("float, OpenVINO", pw.load(path, engine="openvino"))
    print(machine_line())


if __name__ == "__main__":
    main()
