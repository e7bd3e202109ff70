"""Facts of a bundle as rows, and its model card as a Markdown page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from pennyweight.core.accuracy_line import accuracy_line, unknown_twins
from pennyweight.core.figures import fine_share, megabytes, number, several, shape
from pennyweight.core.frame import show_size
from pennyweight.core.int8_line import calibration, files, in_words, layers_in_float
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.pruning_line import accuracies, fewer_macs, milliseconds
from pennyweight.core.rounding_line import float_rounding
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.core.text import printable

__all__ = ["bundle_facts", "model_card"]

MARKUP = re.compile(r"([\\`*_\[\]|~#])")
TAGS = {Manifest: ("image-classification", "predict"), SceneManifest: ("image-segmentation", "scene predict")}
"""Task of a model card, and the command that uses the bundle."""


NAMED = 10
"""Classes that the rows name; the model card and the manifest name all of them."""


def bundle_facts(manifest: Manifest | SceneManifest, name: str, file_bytes: int) -> list[tuple[str, str]]:
    """Return pairs of a fact's name and its text.

    Args:
        manifest: Manifest of the bundle.
        name: Name of the file.
        file_bytes: Size of the file in bytes.
    """
    facts = _of_pictures(manifest) if isinstance(manifest, Manifest) else _of_scene(manifest)
    more = len(manifest.labels) > NAMED
    end = [
        (number(len(manifest.labels)) + " classes", ", ".join(manifest.labels[:NAMED]) + ", …" * more),
        ("made by", ", ".join(f"{package} {version}" for package, version in manifest.versions.items())),
        ("created", manifest.created),
        ("manifest", f"format {manifest.format}{'' if manifest.sealed else ', without a checksum'}"),
    ]
    return [("file", f"{name}, {megabytes(file_bytes)}"), ("network", _network(manifest.network)), *facts, *end]


def _of_pictures(manifest: Manifest) -> Iterator[tuple[str, str]]:
    cost, parity = manifest.cost, manifest.parity
    yield "cost", f"{number(cost['params'])} parameters, {number(cost['macs'])} MACs for one picture"
    if uncounted := cost.get("uncounted"):
        yield "not counted", ", ".join(f"{several(count, operator)}" for operator, count in uncounted.items())
    of_float = "" if manifest.quantization is None else " of the float network"
    height, width, channels = manifest.preprocess.shape
    yield "input", f"{shape((channels, height, width))}; {_preparation(manifest.preprocess)}"
    if manifest.evaluation is None:
        yield "accuracy", "not scored"
    else:
        yield f"{manifest.evaluation['split']} accuracy{of_float}", accuracy_line(manifest.evaluation)
        if unknown := unknown_twins(manifest.evaluation):
            yield "twins in training", unknown
    if (pruning := manifest.pruning) is not None:
        yield "pruned", f"{fewer_macs(pruning)}; {pruning['method']}"
        yield "pruned time", milliseconds(pruning)
        yield "pruned accuracy", accuracies(pruning)
    if (quantization := manifest.quantization) is not None:
        yield "int8", in_words(quantization)
        yield "int8 size", f"{files(quantization)}; in float: {layers_in_float(quantization)}"
        yield "int8 method", f"{quantization['method']}; {calibration(quantization)}"
    if manifest.data is not None:
        yield "trained on", f"{manifest.data['name']} ({manifest.data['fingerprint']})"
    proved = "this file" if manifest.quantization is None else "its float graph"
    yield (
        "proof",
        f"{number(parity['same_top1'])} of {several(parity['pictures'], 'picture')} get the same label from the "
        f"network and from {proved} ({parity['of']}); largest difference of a probability "
        f"{parity['largest_probability_difference']:.1e}{float_rounding(parity)}",
    )


def _of_scene(manifest: SceneManifest) -> Iterator[tuple[str, str]]:
    yield "input", f"{number(manifest.bands)} bands, windows of {manifest.window}×{manifest.window} pixels"
    if manifest.evaluation is not None:
        accuracy, pixels = fine_share(manifest.evaluation["overall_accuracy"]), number(manifest.evaluation["pixels"])
        yield "overall accuracy", f"{accuracy} of {pixels} test pixels ({manifest.evaluation['split']} split)"
    if "name" in manifest.data:
        yield "trained on", str(manifest.data["name"])
    parity = manifest.parity
    yield (
        "proof",
        f"{number(parity['same_top1'])} of {number(parity['pixels'])} pixels get the same class from the network and "
        f"from this file; largest difference of a probability {parity['largest_probability_difference']:.1e}",
    )


def _network(network: Mapping[str, Any]) -> str:
    config = "".join(f", {field}={value}" for field, value in (network.get("config") or {}).items())
    weights = f", weights {network['weights']}" if network.get("weights") else ""
    stem = f", stem {network['stem']}" if network.get("stem") not in (None, "imagenet") else ""
    return f"{network['name']}{stem}{config}{weights}"


def _preparation(preprocess: Preprocess) -> str:
    """Describe in words how a picture becomes the input."""
    size, resize = show_size(preprocess.size), show_size(preprocess.resize)
    if preprocess.frame == "pad":
        way = f"the whole picture fits into {size} pixels, and one color fills the rest"
    elif preprocess.frame == "stretch":
        way = f"the picture is stretched to {resize} pixels"
    else:
        way = f"the picture covers {resize} pixels"
    cut = f", and the middle {size} are cut out" if preprocess.frame != "pad" and size != resize else ""
    return f"{way} ({preprocess.interpolation}){cut}"


def model_card(manifest: Manifest | SceneManifest, name: str, file_bytes: int) -> str:
    """Return a model card as Markdown, with the front matter that model hubs read; names are escaped."""
    task, command = TAGS[type(manifest)]
    facts = bundle_facts(manifest, name, file_bytes)
    scene = isinstance(manifest, SceneManifest)
    example = f"pennyweight {command} {quote(printable(name))} {'CUBE --map map.png' if scene else 'photo.jpg'}"
    lines = [
        "---",
        "library_name: pennyweight",
        f"pipeline_tag: {task}",
        "tags:",
        "- onnx",
        "---",
        "",
        f"# {_escaped(name)}",
        "",
        f"Network that tells {number(len(manifest.labels))} classes apart, as one ONNX file with its labels, its "
        "preprocessing and its proof.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {_escaped(fact)} | {_escaped(text)} |" for fact, text in facts),
        "",
        "## Use",
        "",
        *(f"    {line}" for line in ("pip install pennyweight", example)),
        "",
        "## Classes",
        "",
        *(f"{place}. {_escaped(label)}" for place, label in enumerate(manifest.labels, 1)),
        "",
    ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Return text that Markdown shows letter by letter, on one line."""
    return MARKUP.sub(r"\\\1", html.escape(printable(text), quote=False))
