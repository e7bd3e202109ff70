"""Exports of many networks, proved: which do not become a bundle, and why.

    python benchmarks/export_sweep.py [--results FILE] [--out docs/measured/exports.md] [--only WORD …] [--seconds S]

Every variant of Pennyweight, 40 networks of torchvision and 60 of timm, with random weights and small inputs. Each is
exported and proved on 16 pictures, within a limit of time. RESULTS keeps a line for each network, and a second call
continues from there. A dozen are computed by OpenVINO in float32, too, where the package openvino is installed.
"""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import resource
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from export_sweep_page import write_page
from pennyweight import zoo
from pennyweight.core.machine import versions
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES, Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.core.spectral import Projection
from pennyweight.deploy import export_bundle
from pennyweight.deploy.export_scene import export_scene_bundle
from pennyweight.deploy.parity import make_pictures
from pennyweight.nn import FromPixels, WindowNetwork
from pennyweight.runtime import Bundle

SIZES = (64, 128, 224)
"""Sides in pixels, of which the smallest that a network accepts is taken; else the one that it is published for."""
CLASSES = 10
MEMORY = 12 << 30
"""Most bytes that a network's process may allocate."""
FROM_TORCHVISION, FROM_TIMM = 40, 60
OPENVINO = (
    "mobilenet_v1_x0_25",
    "mobilenet_v2",
    "shufflenet_v1_g3_x0_25",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "resnet18",
    "se_resnet50",
    "resnet_9_x0_25",
    "resnext50_32x4d",
    "vgg11",
    "vit_ti_16",
    "torchvision:mobilenet_v3_small",
    "timm:convnext_atto",
)
TOGETHER = 20
"""Networks that one process tries."""


def networks() -> Iterator[str]:
    """Yield every variant of ours, then 40 names of torchvision and 60 of timm, of as many families as possible."""
    import timm
    from torchvision import models

    yield from zoo.names()
    yield from spread("torchvision", FROM_TORCHVISION, lambda name: models.get_model_builder(name).__module__)
    yield from spread("timm", FROM_TIMM, lambda name: timm.models.model_entrypoint(name).__module__)


def spread(library: str, count: int, family_of: Callable[[str], str]) -> list[str]:
    """Return `count` names of a library: in turn one of each family, the family with most names first.

    In a family, names with a word for a small network come first.
    """
    small = (
        "mini",
        "nano",
        "pico",
        "femto",
        "atto",
        "tiny",
        "small",
        "_s",
        "_t",
        "_n",
        "18",
        "0_5",
        "050",
        "_b0",
        "11",
    )
    families: dict[str, list[str]] = defaultdict(list)
    for name in (full.partition(":")[2] for full in zoo.names(f"{library}:*")):
        families[family_of(name)].append(name)
    for names in families.values():
        names.sort(key=lambda name: not any(word in name for word in small))
    turns = zip_longest(*sorted(families.values(), key=len, reverse=True))
    chosen = [name for turn in turns for name in turn if name is not None][:count]
    return [f"{library}:{name}" for name in sorted(chosen)]


def drawn(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """Give constant weights other values, and batch norms the statistics of an example.

    A branch that begins with zeros, or a network whose answers hardly depend on the picture, would hide what an export
    does to it. The example is the proof's: other statistics make values of other pictures grow without end.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for value in network.parameters():
            if value.numel() > 1 and value.min() == value.max():
                value.add_(torch.randn_like(value) * (0.1 if value.dim() < 2 or min(value.shape) < 2 else 0.02))
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        with contextlib.suppress(ValueError):  # one value a channel has no statistics
            network(example)
    return network.eval()


def made(name: str) -> tuple[nn.Module, Preprocess]:
    """Return a network with random weights, and the smallest preprocessing that it accepts."""
    torch.manual_seed(0)
    own = zoo.form(name).input_shape
    fixed = bool(zoo.settle(name, {}, size=own[1]))
    for side in (own[1],) if fixed else (*SIZES, own[1]):
        network = zoo.create(name, num_classes=CLASSES, **zoo.settle(name, {}, size=side))
        try:
            preprocess = Preprocess.for_input(side, channels=own[0])
            pixels = np.stack([preprocess(picture) for picture in make_pictures(own[0])])
            example = FromPixels(preprocess.mean, preprocess.std)(torch.from_numpy(pixels))
            with torch.inference_mode():
                drawn(network, example)(example)
        except Exception:
            if side == own[1]:
                raise
            continue
        return network, preprocess
    raise AssertionError


def export_pictures(name: str, folder: Path) -> dict[str, Any]:
    """Export a classifier of pictures; return the figures of its proof."""
    network, preprocess = made(name)
    manifest = Manifest(
        network={"name": name},
        labels=tuple(map(str, range(CLASSES))),
        preprocess=preprocess,
        cost={},
        evaluation=None,
        parity={},
        data=None,
        versions=versions(),
        created="",
    )
    bundle = export_bundle(network, folder / "bundle.onnx", manifest, [], of="")
    found = {"size": preprocess.shape[0], "params": sum(each.numel() for each in network.parameters())}
    found |= dict(bundle.manifest.parity)
    return found | (by_openvino(bundle) if name in OPENVINO and importlib.util.find_spec("openvino") else {})


def export_scene(name: str, folder: Path) -> dict[str, Any]:
    """Export a network of a scene; return the figures of its proof."""
    row, draw = zoo.variant(name), np.random.default_rng(0)
    channels, window, _ = row.input_shape
    network = drawn(zoo.create(name, num_classes=CLASSES, in_channels=channels), torch.randn(4, *row.input_shape))
    cube = draw.normal(size=(window + 17, window + 22, channels + 9)).astype(np.float32)
    manifest = SceneManifest(
        network={"name": name},
        labels=tuple(map(str, range(CLASSES))),
        ids=tuple(range(1, CLASSES + 1)),
        form="tile" if isinstance(network, WindowNetwork) else "windows",
        window=window,
        bands=cube.shape[2],
        evaluation=None,
        parity={},
        data={},
        versions=versions(),
        created="",
    )
    projection = Projection.fit(cube.reshape(-1, cube.shape[2]), channels)
    bundle = export_scene_bundle(network, projection, folder / "bundle.onnx", manifest, cube, of="")
    figures = dict(bundle.manifest.parity)
    params = sum(each.numel() for each in network.parameters())
    return figures | {"pictures": figures["pixels"], "size": window, "params": params}


def by_openvino(bundle: Bundle) -> dict[str, float]:
    """Compute the proof's pictures with OpenVINO in float32; return the differences from onnxruntime."""
    import openvino

    preprocess = bundle.manifest.preprocess
    pixels = np.stack([preprocess(picture) for picture in make_pictures(preprocess.channels)])
    core = openvino.Core()
    compiled = core.compile_model(str(bundle.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = compiled({INPUT: pixels})
    p, a = bundle.engine(pixels)
    return {
        "openvino_probability": float(np.abs(outputs[PROBABILITIES] - p).max()),
        "openvino_logit": float(np.abs(outputs[LOGITS] - a).max()),
        "openvino_same": int((outputs[LOGITS].argmax(1) == a.argmax(1)).sum()),
    }


def attempt(name: str) -> dict[str, Any]:
    """Return the result of one network, or why there is none."""
    started = time.process_time()
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            is_scene = ":" not in name and is_of_scenes(name)
            result = (export_scene if is_scene else export_pictures)(name, Path(folder))
    except Exception as error:  # other libraries raise anything
        said = next((line for line in str(error).strip().splitlines() if line.strip()), "")
        result = {"error": f"{type(error).__name__}: {said}", "trace": traceback.format_exc()[-6000:]}
    return {"name": name, **result, "seconds": time.process_time() - started}


def attempt_all(names: Sequence[str], results: Path) -> None:
    """Add a line for each network to the results, in a process with one thread and a limit of memory."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    # The exporter lists its operators again for each network, which takes as long as exporting a small one.
    ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))  # type: ignore[method-assign]
    for name in names:
        add(results, attempt(name))


def add(results: Path, row: dict[str, Any]) -> None:
    with results.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    print({key: value for key, value in row.items() if key != "trace"}, flush=True)


def is_of_scenes(name: str) -> bool:
    return next(family.title for family in zoo.FAMILIES if name in family.variants) in (
        "HybridSN",
        "WindowCNN",
        "SpectralMLP",
    )


def interleaved(names: Sequence[str]) -> list[str]:
    """Return names of the libraries in turn, so that a sweep that was stopped has tried some of each."""
    libraries = defaultdict(list)
    for name in names:
        libraries[name.partition(":")[0] if ":" in name else ""].append(name)
    return [name for turn in zip_longest(*libraries.values()) for name in turn if name is not None]


def read(results: Path) -> dict[str, dict[str, Any]]:
    """Return the result of each network that was tried."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def sweep(names: Sequence[str], results: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """Try each name that RESULTS lacks, 20 in a process; a process that ends or hangs costs one network."""
    context = multiprocessing.get_context("spawn")
    while left := [name for name in names if name not in read(results)]:
        process = context.Process(target=attempt_all, args=(left[:TOGETHER], results))
        process.start()
        before, since = len(read(results)), time.monotonic()
        while process.is_alive() and time.monotonic() - since < seconds:
            process.join(1)
            if len(read(results)) > before:
                before, since = len(read(results)), time.monotonic()
        hangs = process.is_alive()
        process.kill()
        process.join()
        if not hangs and process.exitcode == 0:
            continue
        name = next(name for name in left if name not in read(results))
        why = f"no bundle within {seconds:.0f} s" if hangs else f"the process ended with code {process.exitcode}"
        add(results, {"name": name, "error": why})
    return {name: read(results)[name] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("export-sweep.jsonl"))
    parser.add_argument("--out", type=Path, help="write the page there instead of printing it")
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--page-only", action="store_true", help="write the page of what was tried, and try nothing")
    parser.add_argument("--seconds", type=float, default=900)
    options = parser.parse_args()
    names = [name for name in networks() if not options.only or any(word in name for word in options.only)]
    if not options.page_only:
        sweep(interleaved(names), options.results, options.seconds)
    page = write_page(names, read(options.results))
    if options.out:
        options.out.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
