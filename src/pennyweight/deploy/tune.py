"""Fine-tune a network for int8 (quantization-aware training): its answers become those of the float network again.

Weights and the inputs of layers are rounded in the forward pass as the int8 graph rounds them, and the gradient passes
the rounding unchanged (straight-through estimator). The float network teaches, so no labels are needed. Batch norms
keep their statistics: a scale for each output channel commutes with a batch norm that follows.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pennyweight.core.figures import several
from pennyweight.core.images import Pixels
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy.export import export_graph
from pennyweight.deploy.int8 import MAX_DROP, Int8Error, Int8Pictures, Quantized, outputs, to_int8
from pennyweight.nn import FromPixels

__all__ = ["PASSES", "to_tuned_int8", "tune"]

PASSES = 4
"""Times that each picture is shown."""
BATCH = 32
LEARNING_RATE = 1e-4
WEIGHT_LEVELS, DEPTHWISE_LEVELS = 63, 127
"""Largest whole number of a weight: 7 bits, and 8 bits in depthwise convolutions, as `deploy.qdq` has them."""
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def to_tuned_int8(
    model: onnx.ModelProto,
    *,
    network: nn.Module,
    preprocess: Preprocess,
    pictures: Int8Pictures,
    max_drop: float = MAX_DROP,
    note: Callable[[str], None] = lambda line: None,
) -> Quantized:
    """Quantize a float graph to int8, with weights that were fine-tuned for it where that answers better.

    Args:
        model: Float graph of the network, with preprocessing and softmax inside.
        network: The float network in eval mode; it is not changed.
        preprocess: Its preprocessing.
        pictures: Pictures for calibration, fine-tuning and the gate, which compares with `model` in each case.
        max_drop: Largest allowed drop of accuracy, 0 to 1.
        note: Callback that is given a line before long work, and about fine-tuning that was not used.

    Returns:
        The int8 graph and the manifest's `quantization`; with fine-tuned weights it has a `tuning`.

    Raises:
        Int8Error: The drop is larger than allowed, with fine-tuning as well.
        InputError: The network has no layer that can be quantized.
    """
    expected = outputs(model, pictures.gate)
    try:
        plain = to_int8(model, pictures, max_drop=max_drop, expected=expected, note=note)
    except Int8Error:
        plain = None
    if plain is not None and not plain[1]["layers_in_float"] and plain[1]["gate"]["drop"] <= 0:
        note("int8 without fine-tuning loses no accuracy, so the weights stay as they are")
        return plain
    shown = pictures.calibration if pictures.tuning is None else pictures.tuning
    note(f"fine-tuning for int8: {several(len(shown), 'picture')} ({pictures.calibrated_on}), {PASSES} times each")
    student = export_graph(tune(network, preprocess, shown), preprocess).model
    try:
        tuned = to_int8(student, pictures, max_drop=max_drop, expected=expected, note=note)
    except Int8Error:
        if plain is None:
            raise
        tuned = None
    before = None if plain is None else plain[1]["gate"]["int8_accuracy"]
    if tuned is None or (plain is not None and _rank(plain) >= _rank(tuned)):
        assert plain is not None
        note("fine-tuning did not improve int8, so the weights stay as they are")
        return plain
    record = {"pictures": len(shown), "of": pictures.calibrated_on, "passes": PASSES, "int8_accuracy_before": before}
    return tuned[0], tuned[1] | {"tuning": record}


def _rank(quantized: Quantized) -> tuple[float, int]:
    """Return what decides between two forms: accuracy, then the number of layers in int8."""
    record = quantized[1]
    return record["gate"]["int8_accuracy"], -len(record["layers_in_float"])


def tune(network: nn.Module, preprocess: Preprocess, pictures: Pixels, *, passes: int = PASSES) -> nn.Module:
    """Return a copy of the network whose weights suit int8.

    Args:
        network: The float network in eval mode; it is not changed.
        preprocess: Its preprocessing.
        pictures: Training pictures as the network's input, (N, H, W, C) uint8; mirrored ones are shown as well.
        passes: Times that each picture is shown.

    Returns:
        The copy in eval mode, without the rounding.
    """
    device = next(network.parameters()).device
    from_pixels = FromPixels(preprocess.mean, preprocess.std).to(device)
    student = copy.deepcopy(network).eval().requires_grad_(True)
    draw = np.random.default_rng(0)
    steps = passes * math.ceil(len(pictures) / BATCH)
    optimizer = torch.optim.AdamW(student.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with _rounding(student):
        for _ in range(passes):
            order = draw.permutation(len(pictures))
            for start in range(0, len(order), BATCH):
                pixels = pictures[np.sort(order[start : start + BATCH])]
                mirrored = pixels[:, :, ::-1] if draw.random() < 0.5 else pixels
                x = from_pixels(torch.from_numpy(np.ascontiguousarray(mirrored)).to(device))
                with torch.no_grad():
                    expected = network(x)
                loss = _distance(student(x), expected)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return student.eval().requires_grad_(False)


def _distance(found: Tensor, expected: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the float network's probabilities, averaged over the pictures."""
    return F.kl_div(found.log_softmax(1), expected.log_softmax(1), reduction="batchmean", log_target=True)


@contextmanager
def _rounding(network: nn.Module) -> Iterator[None]:
    """Round weights and inputs of all layers inside the block."""
    layers = [module for module in network.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_pre_hook(_round_input(_Range())) for layer in layers]
    for layer in layers:
        nn.utils.parametrize.register_parametrization(layer, "weight", _RoundedWeight(layer))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


class _RoundedWeight(nn.Module):
    """Weight of a layer in whole numbers of a scale for each output channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        depthwise = isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels
        self.levels = DEPTHWISE_LEVELS if depthwise else WEIGHT_LEVELS
        self.axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0

    def forward(self, weight: Tensor) -> Tensor:
        others = [axis for axis in range(weight.dim()) if axis != self.axis]
        scale = weight.detach().abs().amax(others, keepdim=True).clamp_min(1e-12) / self.levels
        return weight + (scale * (weight / scale).round() - weight).detach()


class _Range:
    """Smallest and largest input that a layer has seen; 0 is always among them."""

    low = high = 0.0


def _round_input(seen: _Range) -> Any:
    """Return a hook that rounds the input of a layer to 255 steps between its smallest and its largest value."""

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        seen.low, seen.high = min(seen.low, float(x.detach().min())), max(seen.high, float(x.detach().max()))
        scale = max((seen.high - seen.low) / 255, 1e-12)
        return (x + (scale * (x / scale).round() - x).detach(), *inputs[1:])

    return hook
