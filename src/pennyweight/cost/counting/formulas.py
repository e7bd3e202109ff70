"""Work of each operator from its shapes: multiply-accumulates as the papers count them, and all arithmetic.

`macs` are the multiply-accumulates of convolutions, linear layers and matrix products, without biases. `ops` counts
every arithmetic operation: a multiply-accumulate is two. Per element, an addition, multiplication, division, comparison
or elementary function (exp, tanh, erf, square root) is one. Moving values costs traffic and no operations. On complex
numbers a multiply-accumulate is four real ones and any other operation two; torch computes a complex convolution as
three real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from pennyweight.cost.counting.operators import MOVES, PER_INPUT, PER_OUTPUT, SOFTMAX, UNTOUCHED
from pennyweight.cost.counting.windows import WINDOWS
from pennyweight.cost.counting.work import Arguments, Formula, Work

__all__ = [
    "MATRIX_FORMULAS",
    "base_name",
    "complex_work",
    "formula",
    "outer",
    "scales_with_elements",
    "touches_no_values",
]


NOTHING = Work(0, 0)


@cache
def base_name(operator: Any) -> str:
    """Return an operator's name without overload and in-place mark: aten.add_.Tensor -> "add"; "torchvision::nms"."""
    namespace, _, name = operator._schema.name.partition("::")
    name = name if name.startswith("__") else name.rstrip("_")
    return str(name) if namespace == "aten" else f"{namespace}::{name}"


@cache
def touches_no_values(operator: Any) -> bool:
    """Return whether an operator touches no values: a view (in place too, `transpose_`), or bookkeeping."""
    return operator.is_view or torch.Tag.inplace_view in operator.tags or base_name(operator) in UNTOUCHED


@cache
def formula(operator: Any) -> Formula | None:
    """Return the formula for the work of an overload (`torch.ops.aten.add.Tensor`); None if there is none here."""
    name = base_name(operator)
    if name in PRODUCTS:
        return PRODUCTS[name]
    if name in MOVES or touches_no_values(operator):
        return lambda args, kwargs, out: NOTHING
    if name in PER_OUTPUT:
        return _each(_output_elements, PER_OUTPUT[name])
    if name in PER_INPUT:
        return _each(_input_elements, PER_INPUT[name])
    if name in OTHERS:
        return OTHERS[name]
    if _pointwise(operator, name):
        return _each(_output_elements, 1)
    return None


@cache
def scales_with_elements(name: str) -> bool:
    """Return whether an operator, by base name, only moves elements or treats them all alike.

    Its time then grows with the number of elements.
    """
    return name in MOVES or any(torch.Tag.pointwise in form.tags for form in _overloads(name))


def _pointwise(operator: Any, name: str) -> bool:
    """Return whether torch tags the operator, or its form that is not in place, as pointwise."""
    return any(torch.Tag.pointwise in form.tags for form in (operator, *_overloads(name)))


def _overloads(name: str) -> list[Any]:
    plain = getattr(torch.ops.aten, name, None) if "::" not in name else None
    return [getattr(plain, overload) for overload in plain.overloads()] if plain is not None else []


def _each(elements: Callable[[Arguments, Any], int], ops: int) -> Formula:
    return lambda args, kwargs, out: Work(0, ops * elements(args, out))


def _output_elements(args: Arguments, out: Any) -> int:
    """Count the elements of the first output; for foreach operators, those of every tensor in the list."""
    if isinstance(out, Tensor):
        return out.numel()
    if isinstance(out, list):
        return sum(item.numel() for item in out)
    return out[0].numel() if out else sum(item.numel() for item in args[0])


def _input_elements(args: Arguments, out: Any) -> int:
    return int(args[0].numel())


def complex_work(macs: int, ops: int) -> Work:
    """Return the same work on complex numbers, counted in operations on real numbers."""
    return Work(4 * macs, 8 * macs + 2 * (ops - 2 * macs))


def _product(macs: int, extra: int = 0) -> Work:
    return Work(macs, 2 * macs + extra)


def _value(args: Arguments, kwargs: Mapping[str, Any], place: int, name: str, default: Any = None) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _convolution(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    """Return kernel volume × channels of a group, per output element; per input element if transposed."""
    x, weight, bias, transposed = args[0], args[1], args[2], args[6]
    places = x if transposed else out
    return _product(places.numel() * prod(weight.shape[1:]), 0 if bias is None else out.numel())


def _conv_tbc(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    # (T, B, C) by (K, C, c_out).
    return _product(out.numel() * prod(args[1].shape[:2]), out.numel())


def _deform_conv(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    # Each sample is interpolated between four positions (7 operations) and scaled by its mask.
    macs = out.numel() * prod(args[1].shape[1:])
    samples = out.numel() // out.shape[1] * args[0].shape[1] * prod(args[1].shape[2:])
    return _product(macs, 8 * samples + out.numel())


def outer(args: Arguments, out: Tensor) -> Work:
    """Return the work of a multiplication: MACs for an outer product, (…, n, 1) times (…, 1, m), else elementwise."""
    # An output larger than both operands shows the outer product.
    wider = out.numel() > max(args[0].numel(), args[1].numel())
    return _product(out.numel()) if wider else Work(0, out.numel())


def _mm(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    """Return the work of (…, n, k) times (…, k, m)."""
    return _product(out.numel() * int(args[0].shape[-1]))


def _addmm(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    """Return the work of a matrix product with an added term."""
    scales = sum(kwargs.get(name, 1) != 1 for name in ("alpha", "beta"))
    return _product(out.numel() * int(args[1].shape[-1]), (1 + scales) * out.numel())


def _addbmm(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    """Return the work of a batch of matrix products summed into one matrix."""
    return _product(len(args[1]) * out.numel() * int(args[1].shape[-1]), out.numel())


def _dot(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    return _product(args[0].numel())


def _linear(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    bias = _value(args, kwargs, 2, "bias")
    return _product(out.numel() * int(args[1].shape[-1]), 0 if bias is None else out.numel())


def _trilinear(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    """Return the work of nn.Bilinear, (x·A)·y per output: (B, in1), (out, in1, in2), (B, in2) -> (B, out)."""
    batch, first = args[0].shape[0], args[0].shape[-1]
    weight = args[1]
    macs = batch * weight.numel() + batch * weight.numel() // first
    return _product(macs)


def _attention(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the work of fused softmax(q·kᵀ + mask)·v: (…, L, e), (…, S, e), (…, S, v).

    By convention a causal mask saves nothing.
    """
    q, k, v = args[:3]
    scores = q.numel() // q.shape[-1] * int(k.shape[-2])
    mask = _value(args, kwargs, 5, "attn_mask")
    return _product(scores * int(q.shape[-1] + v.shape[-1]), scores * (1 + SOFTMAX + (mask is not None)))


def _mha(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the work of nn.MultiheadAttention's fast path: projections, and self-attention of (B, T, d)."""
    return _mha_work(args[0], int(args[3]), int(args[4]))


def _mha_work(x: Tensor, d: int, heads: int) -> Work:
    tokens = x.numel() // d
    scores = tokens * int(x.shape[1])
    return _product(4 * tokens * d * d + 2 * scores * d, 4 * tokens * d + heads * scores * (1 + SOFTMAX))


def _encoder_layer(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    """Return the work of nn.TransformerEncoderLayer's fast path: attention, 2 linear layers, 2 norms, 2 additions."""
    x, d, heads, gelu, hidden = args[0], int(args[1]), int(args[2]), bool(args[7]), int(args[14].shape[0])
    tokens = x.numel() // d
    attention = _mha_work(x, d, heads)
    rest = _product(2 * tokens * d * hidden, tokens * (hidden + d))
    act = tokens * hidden * (PER_OUTPUT["gelu"] if gelu else PER_OUTPUT["relu"])
    return Work(attention.macs + rest.macs, attention.ops + rest.ops + act + x.numel() * (2 * 7 + 2))


def _rnn(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the work of one direction of a fused recurrent layer: two matrix products per element of the sequence."""
    steps = args[0].shape[0] * args[0].shape[1]
    gates = int(args[1].shape[0])
    return _product(steps * (args[1].numel() + args[2].numel()), steps * gates * 6)


def _norm(statistics: int) -> Formula:
    """Return a formula for (x - mean) / deviation and the affine part if any.

    `statistics` is the number of operations per element for mean and deviation.
    """

    def work(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
        affine = sum(args[place] is not None for place in (1, 2) if len(args) > place)
        return Work(0, args[0].numel() * (statistics + 2 + affine))

    return work


def _batch_norm(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the work of a batch norm; in train mode it includes the statistics.

    The mean takes an addition per element, the variance a difference, a square and a sum.
    """
    training = len(args) > 5 and args[5] is True
    affine = sum(item is not None for item in args[1:3])
    return Work(0, args[0].numel() * (2 + affine + 4 * training))


def _layer_norm(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    affine = sum(item is not None for item in args[2:4])
    return Work(0, args[0].numel() * (4 + 2 + affine))


def _added(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return one operation per element of the source, which is added to a position of the first operand."""
    return Work(0, int(args[3].numel()))


SAMPLED = {0: {2: 7, 3: 15}, 1: {2: 0, 3: 0}, 2: {2: 31}}
"""Mode of grid sampling (bilinear, nearest, bicubic) -> dimensions -> operations per sampled position."""


def _sampled(args: Arguments, kwargs: Mapping[str, Any], out: Tensor) -> Work:
    return Work(0, SAMPLED[args[2]][out.dim() - 2] * out.numel())


def _bag(args: Arguments, kwargs: Mapping[str, Any], out: Any) -> Work:
    """Return the work of summing the indexed rows."""
    return Work(0, args[1].numel() * int(args[0].shape[1]))


PRODUCTS: dict[str, Formula] = {
    **dict.fromkeys(("convolution", "convolution_overrideable", "_convolution"), _convolution),
    "conv_tbc": _conv_tbc,
    "torchvision::deform_conv2d": _deform_conv,
    **dict.fromkeys(("mm", "bmm", "mv", "_int_mm", "_scaled_mm", "_grouped_mm", "_scaled_grouped_mm"), _mm),
    "_weight_int8pack_mm": _mm,
    **dict.fromkeys(("addmm", "_addmm_activation", "addmv", "baddbmm"), _addmm),
    "addbmm": _addbmm,
    **dict.fromkeys(("dot", "vdot"), _dot),
    **dict.fromkeys(("linear", "mkldnn_linear"), _linear),
    "_trilinear": _trilinear,
    **{f"_scaled_dot_product_{kind}attention": _attention for kind in ("flash_", "efficient_", "cudnn_")},
    **{f"_scaled_dot_product_{k}": _attention for k in ("flash_attention_for_cpu", "fused_attention_overrideable")},
    "_scaled_dot_product_attention_math_for_mps": _attention,
    "_native_multi_head_attention": _mha,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _rnn,
}
"""Operator -> formula, for all operators whose multiply-accumulates count by the papers' convention."""

MATRIX_FORMULAS = frozenset({_mm, _addmm})  # formulas of products that also take sparse matrices

OTHERS: dict[str, Formula] = {
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit"), _batch_norm),
    "_native_batch_norm_legit_no_training": _norm(0),
    "_batch_norm_with_update": _norm(4),
    "_batch_norm_no_update": _norm(0),
    "batch_norm_stats": _norm(4),
    "native_group_norm": _norm(4),
    "native_layer_norm": _layer_norm,
    **WINDOWS,
    "_cdist_forward": lambda args, kwargs, out: Work(0, 3 * out.numel() * int(args[0].shape[-1])),
    **dict.fromkeys(("index_add", "scatter_add", "scatter_reduce"), _added),
    **dict.fromkeys(("grid_sampler_2d", "grid_sampler_3d"), _sampled),
    **dict.fromkeys(("_embedding_bag", "_embedding_bag_forward_only"), _bag),
}
