"""Page of the results of `export_sweep.py`."""

import importlib.metadata
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pennyweight.core.machine import machine_line

PAGE = """\
# Exports of many networks

`benchmarks/export_sweep.py` exports networks with random weights at small inputs, and proves each bundle on 16 pictures
with onnxruntime in float32. Weights that are constant in a fresh network, such as zeros, get other values, and batch
norms get the statistics of the pictures, so that no branch computes zero. The proof of a network for scenes covers
every pixel of a small cube.

Measured on: {machine}, {packages}.

| library | networks | tried | exported and proved | largest difference of a probability |
| --- | ---: | ---: | ---: | ---: |
{libraries}

{unfinished}## Failures

{failures}

{rounding}## OpenVINO in float32

Largest differences between OpenVINO and onnxruntime, over the pictures of the proof.

| network | same answers | probability | logit |
| --- | ---: | ---: | ---: |
{openvino}

## Each network

| network | input | parameters | largest difference of a probability | of a logit | processor seconds |
| --- | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


ROUNDING = """\
## Rounding of float32

Where probabilities differ by more than 1e-4, the proof compares both with the network in float64. Largest differences:

| network | bundle and network | network and float64 | bundle and float64 |
| --- | ---: | ---: | ---: |
{rows}

"""


def write_page(names: Sequence[str], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page as Markdown."""
    tried = {name: results[name] for name in names if name in results}
    proved = {name: row for name, row in tried.items() if "error" not in row}
    libraries = []
    for title, prefix in (("Pennyweight", ""), ("torchvision", "torchvision:"), ("timm", "timm:")):
        theirs = [name for name in names if name.startswith(prefix) and (prefix or ":" not in name)]
        good = [proved[name]["largest_probability_difference"] for name in theirs if name in proved]
        largest = f"{max(good):.0e}" if good else ""
        libraries.append(
            f"| {title} | {len(theirs)} | {sum(name in tried for name in theirs)} | {len(good)} | {largest} |"
        )
    failures = [f"| `{name}` | {shorten(row['error'])} |" for name, row in tried.items() if "error" in row]
    openvino = [
        f"| `{name}` | {row['openvino_same']} of {row['pictures']} | {row['openvino_probability']:.0e} "
        f"| {row['openvino_logit']:.0e} |"
        for name, row in proved.items()
        if "openvino_same" in row
    ]
    rows = [
        f"| `{name}` | {row['size']} | {row['params']:,} | {row['largest_probability_difference']:.0e} "
        f"| {row['largest_logit_difference']:.0e} | {row['seconds']:.0f} |"
        for name, row in proved.items()
    ]
    rounded = [
        f"| `{name}` | {row['largest_probability_difference']:.1e} | {row['rounding']['network_probability']:.1e} "
        f"| {row['rounding']['bundle_probability']:.1e} |"
        for name, row in proved.items()
        if "rounding" in row
    ]
    left = len(names) - len(tried)
    packages = ("torchvision", "timm", "onnxruntime", "openvino")
    return PAGE.format(
        machine=machine_line(),
        packages=", ".join(f"{one} {importlib.metadata.version(one)}" for one in packages),
        libraries="\n".join(libraries),
        unfinished=f"The sweep is unfinished: {left} networks were not tried.\n\n" if left else "",
        failures="\n".join(["| network | error |", "| --- | --- |", *failures]) if failures else "Nothing failed.",
        rounding=ROUNDING.format(rows="\n".join(rounded)) if rounded else "",
        openvino="\n".join(openvino),
        rows="\n".join(rows),
    )


def shorten(error: str) -> str:
    """Return an error without colors and bars, in at most 240 letters."""
    return textwrap.shorten(re.sub("\x1b\\[[0-9;]*m", "", error).replace("|", "\\|"), 240, placeholder=" …")
