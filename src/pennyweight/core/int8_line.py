"""Lines about an int8 bundle, from the `quantization` of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennyweight.core.figures import fine_share, megabytes, number, several, share

__all__ = ["calibration", "files", "in_words", "layers_in_float"]


def in_words(quantization: Mapping[str, Any]) -> str:
    """Return accuracy or agreement of int8 on the gate's pictures, and the drop."""
    gate = quantization["gate"]
    pictures = f"{number(gate['pictures'])} pictures ({gate['of']})"
    same = gate["same_top1"] / gate["pictures"]
    if gate["measure"] == "agreement":
        return f"answers {share(same)} of {pictures} as float does"
    return (
        f"accuracy {share(gate['int8_accuracy'])} of {pictures}, float {share(gate['float_accuracy'])}: "
        f"{_drop(gate['drop'])}, {share(same)} same answers"
    )


def calibration(quantization: Mapping[str, Any]) -> str:
    """Return the number of pictures that int8 was calibrated on, and their description."""
    pictures = quantization["calibration"]
    line = f"calibrated on {several(pictures['pictures'], 'picture')} ({pictures['of']})"
    if (tuned := quantization.get("tuning")) is None:
        return line
    before = tuned["int8_accuracy_before"]
    without = "" if before is None else f" (accuracy without: {share(before)})"
    return f"{line}, fine-tuned on {number(tuned['pictures'])}{without}"


def files(quantization: Mapping[str, Any]) -> str:
    """Return the sizes of the int8 graph and of the float graph."""
    ours, theirs = quantization["int8_bytes"], quantization["float_bytes"]
    return f"{megabytes(ours)}, {share(ours / theirs)} of {megabytes(theirs)} in float"


def layers_in_float(quantization: Mapping[str, Any]) -> str:
    """Return the names of the layers that stayed in float."""
    kept = quantization["layers_in_float"]
    return f"{len(kept)} of {quantization['layers']} layers ({', '.join(kept)})" if kept else "no layer"


def _drop(drop: float) -> str:
    return f"a drop of {fine_share(drop)}" if drop > 0 else "no drop"
