"""Int8 within a limit: quantize a graph, and keep in float the layers that cost more accuracy than allowed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pennyweight.core.errors import ParityError
from pennyweight.core.figures import fine_share, several
from pennyweight.core.images import Pixels
from pennyweight.deploy.qdq import METHOD, Layer, Quantizer
from pennyweight.runtime import Outputs
from pennyweight.runtime.onnx_engine import OnnxEngine

__all__ = ["MAX_DROP", "Int8Error", "Int8Pictures", "LayerLoss", "Quantized", "outputs", "to_int8"]

Quantized = tuple[onnx.ModelProto, dict[str, Any]]
"""Int8 graph, and the manifest's `quantization`."""

MAX_DROP = 0.01
"""Default of the largest allowed drop of accuracy."""
MOST_IN_FLOAT = 0.5
"""Largest share of the weights that may stay in float: such a file is hardly smaller or faster."""
BATCH = 16
RANKING = 32
"""Calibration pictures on which the loss of each layer is measured."""


@dataclass(frozen=True, kw_only=True)
class Int8Pictures:
    """Pictures for the two parts of quantization, as the network's input, (N, H, W, C)."""

    calibration: Pixels
    """Pictures that the ranges are measured on."""
    calibrated_on: str
    """Their description."""
    gate: Pixels
    """Other pictures, on which the drop is measured."""
    targets: NDArray[np.int64] | None
    """Classes of the gate's pictures, (N,); None compares the answers with those of the float graph."""
    gated_on: str
    """Description of the gate's pictures."""
    tuning: Pixels | None = None
    """Pictures of the same part as the calibration's to fine-tune the weights on; None for the calibration's."""


@dataclass(frozen=True)
class LayerLoss:
    """Damage that a layer does when it alone is in int8."""

    layer: str
    loss: float
    """Mean squared change of the logits, as a share of their variance."""
    weights: int
    """Number of its weights."""


class Int8Error(ParityError):
    """No int8 form answers well enough; `layers` are the losses of all layers, the largest first."""

    def __init__(self, message: str, layers: Sequence[LayerLoss]) -> None:
        super().__init__(message)
        self.layers = tuple(layers)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Comparison of an int8 graph with the float graph, on pictures that calibration has not seen."""

    measure: str
    """"accuracy", or "agreement" with the float graph where the pictures have no labels."""
    pictures: int
    of: str
    float_accuracy: float
    int8_accuracy: float
    same_top1: int
    """Pictures with the same most probable class."""
    largest_probability_difference: float

    @property
    def drop(self) -> float:
        """Return the accuracy that int8 loses; negative where it gains."""
        return self.float_accuracy - self.int8_accuracy


def to_int8(
    model: onnx.ModelProto,
    pictures: Int8Pictures,
    *,
    max_drop: float = MAX_DROP,
    expected: Outputs | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Quantized:
    """Quantize a bundle's float graph to int8, with as few layers in float as the limit asks for.

    Args:
        model: Float graph with preprocessing and softmax inside; both stay in float.
        pictures: Pictures for calibration and for the gate.
        max_drop: Largest allowed drop of accuracy, or of agreement with the float graph, 0 to 1.
        expected: Answers of the float network to the gate's pictures, where the graph has other weights.
        note: Callback that is given a line before long work.

    Returns:
        The int8 graph, and the manifest's `quantization`: method, pictures, layers in float, both accuracies and sizes.

    Raises:
        Int8Error: The drop is larger with half of the weights in float, too.
        InputError: The network has no layer that can be quantized.
    """
    quantizer = Quantizer(model, pictures.calibration)
    trial = _Trial(outputs(model, pictures.gate) if expected is None else expected, quantizer, pictures, max_drop)
    if not trial.passes(()):
        note(
            f"int8 in all {len(quantizer.layers)} layers loses {_points(trial.last.drop)}, above "
            f"{_points(max_drop)}: measuring each layer to keep the worst in float"
        )
        losses = _losses(model, quantizer, pictures.calibration[:RANKING])
        _keep_fewest(trial, losses)
    gate, in_float = trial.last, trial.in_float
    return trial.model, {
        "method": METHOD,
        "calibration": {"pictures": len(pictures.calibration), "of": pictures.calibrated_on},
        "gate": {**asdict(gate), "drop": gate.drop, "max_drop": max_drop},
        "layers": len(quantizer.layers),
        "layers_in_float": [layer.name for layer in quantizer.layers if layer.name in in_float],
        "float_bytes": model.ByteSize(),
        "int8_bytes": trial.model.ByteSize(),
    }


class _Trial:
    """Latest int8 form, and its comparison with the float graph."""

    model: onnx.ModelProto
    last: Gate
    in_float: frozenset[str] = frozenset()

    def __init__(self, expected: Outputs, quantizer: Quantizer, pictures: Int8Pictures, max_drop: float) -> None:
        self.layers, self.max_drop = quantizer.layers, max_drop
        self._quantizer, self._pictures = quantizer, pictures
        self._expected = expected

    def passes(self, in_float: Collection[str]) -> bool:
        """Quantize with these layers in float, and return True if the drop is within the limit."""
        self.in_float = frozenset(in_float)
        self.model = self._quantizer.quantize(in_float)
        self.last = _compare(self._expected, outputs(self.model, self._pictures.gate), self._pictures)
        return self.last.drop <= self.max_drop + 1e-9


def _keep_fewest(trial: _Trial, losses: Sequence[LayerLoss]) -> None:
    """Leave in `trial` the form with the fewest of the worst layers in float that passes. Raises Int8Error."""
    names = [each.layer for each in losses]
    most = _most_in_float(losses)
    failed, drops = 0, [trial.last.drop]
    passed = min(1, most)
    while passed and not trial.passes(names[:passed]):
        drops.append(trial.last.drop)
        if passed == most:
            passed = 0
            break
        failed, passed = passed, min(2 * passed, most)
    if not passed:
        raise Int8Error(_refusal(trial, most, min(drops)), losses)
    while passed - failed > 1:
        middle = (failed + passed) // 2
        failed, passed = (failed, middle) if trial.passes(names[:middle]) else (middle, passed)
    if len(trial.in_float) != passed:
        trial.passes(names[:passed])


def _most_in_float(losses: Sequence[LayerLoss]) -> int:
    """Return how many of the worst layers hold at most MOST_IN_FLOAT of the weights, and are not all layers."""
    share = np.cumsum([each.weights for each in losses]) / sum(each.weights for each in losses)
    return min(int((share <= MOST_IN_FLOAT).sum()), len(losses) - 1)


def _refusal(trial: _Trial, most: int, best: float) -> str:
    gate = trial.last
    what = "the accuracy" if gate.measure == "accuracy" else "the agreement with float"
    kept = f"with up to {several(most, 'layer')} in float" if most else "in any form"
    return (
        f"int8 loses {_points(best)} of {what} on {gate.pictures:,} pictures ({gate.of}) {kept}, above the allowed "
        f"{_points(trial.max_drop)}; nothing was written. Networks without squeeze-and-excitation and with relu or "
        "relu6 quantize well, such as mobilenet_v2 and timm:efficientnet_lite0; --max-drop allows more"
    )


def _losses(model: onnx.ModelProto, quantizer: Quantizer, pictures: Pixels) -> list[LayerLoss]:
    """Quantize each layer alone and measure the change of the logits; return the largest first."""
    expected = outputs(model, pictures).logits
    variance = float(expected.var()) or 1.0
    names = [layer.name for layer in quantizer.layers]

    def loss(layer: Layer) -> float:
        alone = quantizer.quantize([name for name in names if name != layer.name])
        return float(np.square(outputs(alone, pictures).logits - expected).mean()) / variance

    found = [LayerLoss(layer.name, loss(layer), layer.weights) for layer in quantizer.layers]
    return sorted(found, key=lambda each: -each.loss)


def outputs(model: onnx.ModelProto, pictures: Pixels) -> Outputs:
    """Compute the outputs of a graph for all pictures, with the engine that will run the bundle."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.onnx")
        onnx.save(model, path)
        engine = OnnxEngine(path)
        parts = [engine(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH)]
    return Outputs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _compare(expected: Outputs, received: Outputs, pictures: Int8Pictures) -> Gate:
    ours, theirs = received.logits.argmax(axis=1), expected.logits.argmax(axis=1)
    targets = theirs if pictures.targets is None else pictures.targets
    return Gate(
        measure="agreement" if pictures.targets is None else "accuracy",
        pictures=len(targets),
        of=pictures.gated_on,
        float_accuracy=float((theirs == targets).mean()),
        int8_accuracy=float((ours == targets).mean()),
        same_top1=int((ours == theirs).sum()),
        largest_probability_difference=float(np.abs(expected.probabilities - received.probabilities).max()),
    )


def _points(drop: float) -> str:
    return fine_share(drop)
