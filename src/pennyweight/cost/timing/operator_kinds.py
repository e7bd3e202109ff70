"""Kinds of operators whose time follows one model, and the sizes that the time depends on."""

from __future__ import annotations

from math import log2, prod
from typing import NamedTuple

from pennyweight.cost.counting.formulas import scales_with_elements
from pennyweight.cost.counting.operation import Operation, Settings
from pennyweight.cost.counting.workspace import BLOCK

__all__ = ["Kind", "kind_of"]


class Kind(NamedTuple):
    """Kind of operator, and the features of one call, from which the kind's model predicts its time."""

    name: str
    features: tuple[float, ...]
    """Base-2 logarithms of the relevant sizes (channels, positions, kernel, elements), and flags 1 or 0."""
    likened: bool = False
    """True for an operator that was never timed, predicted as another operator on equally many elements."""


MATRIX = {"mm": 0, "addmm": 1, "linear": 0, "_addmm_activation": 1}
"""Products of two matrices -> index of the first matrix among the operands."""

STACKS = {"bmm": 0, "baddbmm": 1}
"""Batched matrix products -> index of the first operand."""

FEW = 8
"""Channels below which a convolution's input counts as color channels, which oneDNN does not block."""

EDGE, WIDE_EDGE = 4, 6
"""Columns of padding that oneDNN's depthwise kernel handles: without AVX-512, and with it.

A window that reaches farther out uses another kernel, which takes up to twenty times as long.
"""

ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"

NORMS = {
    "native_batch_norm": "batch norm",
    "_native_batch_norm_legit": "batch norm",
    "_native_batch_norm_legit_no_training": "batch norm",
    "native_layer_norm": "layer norm",
    "native_group_norm": "layer norm",
}

ELEMENTWISE = {
    "relu": "relu",
    "hardtanh": "relu",
    "clamp": "relu",
    "threshold": "relu",
    "leaky_relu": "relu",
    "add": "addition",
    "sub": "addition",
    "mul": "product",
    "div": "product",
    "sigmoid": "sigmoid",
    "tanh": "sigmoid",
    "exp": "sigmoid",
    "silu": "silu",
    "mish": "silu",
    "gelu": "gelu",
    "erf": "gelu",
    "hardswish": "hardswish",
    "hardsigmoid": "hardswish",
    "_softmax": "softmax",
    "_safe_softmax": "softmax",
    "cat": "join",
    "stack": "join",
    "clone": "reorder",
    "copy": "reorder",
    "_to_copy": "reorder",
    "mean": "mean",
    "sum": "mean",
    "_adaptive_avg_pool2d": "mean",
    "max_pool2d_with_indices": "max pool",
    "avg_pool2d": "average pool",
}


def kind_of(operation: Operation) -> Kind:
    """Return the kind and features of an operation; an operator in no table is predicted from its elements."""
    name, inputs = operation.name.rstrip("_"), operation.inputs
    if not operation.counted:
        return Kind("uncounted", ())
    if operation.settings is not None:
        return _convolution(operation, operation.settings)
    if name in MATRIX:
        first, second = inputs[MATRIX[name] : MATRIX[name] + 2]
        return Kind("matrix product", _logs(prod(first[:-1]), first[-1], second[-1]))
    if name in STACKS:
        first, second = inputs[STACKS[name] : STACKS[name] + 2]
        return Kind("stack of products", _logs(first[0], first[1], first[2], second[2]))
    if name == ATTENTION:
        (batch, heads, queries, width), keys = inputs[0], inputs[1][2]
        return Kind("attention", _logs(batch * heads, queries, keys, width))
    elements = _elements(operation)
    if name in NORMS:
        last = operation.output[-1] if NORMS[name] == "layer norm" else operation.output[1]
        return Kind(NORMS[name], _logs(elements, last))
    if name == "max_pool2d_with_indices":  # threads share the planes; each plane is scanned position by position
        (*planes, _, width), out = inputs[0], operation.output
        window, steps = operation.ops / max(1, prod(out)), width / out[-1]
        return Kind(ELEMENTWISE[name], _logs(prod(planes), prod(out[-2:]), window, steps))
    if name in ("avg_pool2d", "mean", "_adaptive_avg_pool2d"):
        window = operation.ops / max(1, prod(operation.output))  # pooling's operations per output
        return Kind(ELEMENTWISE[name], _logs(prod(inputs[0]), prod(operation.output), window))
    if name in ("mul", "add") and len(inputs) > 1 and prod(inputs[0]) != prod(inputs[1]):
        return Kind("broadcast", _logs(elements))
    if operation.macs:  # other products: recurrent, deformable, integer
        return Kind("other product", ())
    if name in ("_softmax", "_safe_softmax"):
        return Kind(ELEMENTWISE[name], _logs(elements, operation.output[-1]))
    fallback = "sigmoid" if operation.ops > 3 * elements else "relu" if operation.ops else "reorder"
    # In-place operation and the number of operands change the bytes by about a factor of two.
    features = *_logs(elements), float(operation.name.endswith("_")), float(len(inputs))
    return Kind(ELEMENTWISE.get(name, fallback), features, name not in ELEMENTWISE and not scales_with_elements(name))


def _convolution(operation: Operation, settings: Settings) -> Kind:
    """Return the kind of a convolution; kinds differ as oneDNN's kernels do."""
    x, weight = operation.inputs[:2]
    out = x if settings.transposed else operation.output
    c_in, c_out, groups = x[1], operation.output[1], settings.groups
    window, places, steps = prod(weight[2:]), prod(out[2:]), max(settings.stride)
    depthwise = 1 < groups == c_in == c_out
    if settings.transposed:
        blocks = _whole_blocks(c_in, c_out)
        features = *_logs(x[0], places, c_in, c_out, window, steps), *blocks
        return Kind("transposed" if groups == 1 else "transposed, grouped", features)
    if depthwise:
        return _depthwise(settings, x[0], places, c_in, window)
    if len(weight) > 4:
        features = *_logs(x[0], places, c_in, c_out, window, steps), *_whole_blocks(c_in, c_out)
        return Kind("three-dimensional" if groups == 1 else "three-dimensional, grouped", features)
    if 1 < groups == c_in:
        return Kind("multiplied", (*_logs(x[0], places, c_in, c_out // c_in, window, steps), *_whole_blocks(c_in)))
    if groups > 1:
        c_in, c_out = c_in // groups, c_out // groups
        return Kind("grouped", (*_logs(x[0], places, c_in, c_out, groups, window, steps), *_whole_blocks(c_in, c_out)))
    if c_in < FEW:
        return Kind("first", (*_logs(x[0], places, c_in, c_out, window, steps), *_whole_blocks(c_out)))
    if window == 1:
        return Kind("pointwise", (*_logs(x[0], places, c_in, c_out, steps), *_whole_blocks(c_in, c_out)))
    return Kind("dense", (*_logs(x[0], places, c_in, c_out, window, steps), *_whole_blocks(c_in, c_out)))


def _depthwise(settings: Settings, batch: int, places: int, channels: int, window: int) -> Kind:
    """Return the kind of a depthwise convolution; a 1×1 one costs only moving the image."""
    steps, blocks = max(settings.stride), _whole_blocks(channels)
    if window == 1:
        return Kind("depthwise 1×1", (*_logs(batch, places, channels, steps), *blocks))
    features = *_logs(batch, places, channels, window, steps), *blocks
    if len(settings.stride) == 3:
        return Kind("depthwise, three-dimensional", features)
    edge = settings.padding[-1]
    return Kind("wide depthwise", (*features, float(edge > WIDE_EDGE))) if edge > EDGE else Kind("depthwise", features)


def _whole_blocks(*channels: int) -> tuple[float, ...]:
    """Return 1.0 for each number of channels that fills whole blocks, else 0.0.

    Other numbers are padded or use other kernels.
    """
    return tuple(float(number % BLOCK == 0) for number in channels)


def _elements(operation: Operation) -> int:
    return max(prod(operation.output), *(prod(shape) for shape in operation.inputs), 1)


def _logs(*sizes: float) -> tuple[float, ...]:
    return tuple(log2(max(size, 1e-6)) for size in sizes)
