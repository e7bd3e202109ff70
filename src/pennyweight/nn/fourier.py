"""Convolution with a large kernel as a product of spectra, block by block (overlap-save; Vasilache et al. 2014).

A 17×17 kernel costs 289 multiply-accumulates per channel pair and pixel; in spectra it costs about four, and the
transforms. The result differs only by rounding: about 1e-6 of the largest value.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["fourier_conv2d", "prefer_fourier"]

BLOCK = 32
"""Approximate side, in output pixels, of a block with one transform; larger blocks mean larger kernel spectra."""
SMALLEST_KERNEL, SMALLEST_OUTPUT = 9, 64
"""Smallest kernel and output, in pixels, for which spectra are faster than oneDNN's direct convolution on a CPU."""
STEEPEST = 1000
"""Largest allowed ratio of the largest value to the mean: a transform spreads an outlier's rounding over its block."""


def prefer_fourier(x: Tensor, side: int) -> bool:
    """Return whether spectra are faster for (B, C, H, W) and a kernel of side×side; only for inference."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type):
        return False
    height, width = (length - side + 1 for length in x.shape[2:])
    if side < SMALLEST_KERNEL or min(height, width) < SMALLEST_OUTPUT:
        return False
    return x.device.type == "cpu" and x.dtype == torch.float32 and bool(x.abs().amax() < STEEPEST * x.abs().mean())


def fourier_conv2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve as `F.conv2d`: (B, c_in, H, W), (c_out, c_in, side, side) -> (B, c_out, H - side + 1, W - side + 1)."""
    c_out, _, side, _ = weight.shape
    height, width = (length - side + 1 for length in x.shape[2:])
    step = max(math.ceil(length / math.ceil(length / BLOCK)) for length in (height, width))
    period = step + side - 1
    kernels = _spectra(weight, period)
    down, across = math.ceil(height / step), math.ceil(width / step)
    x = F.pad(x, (0, across * step - width, 0, down * step - height))
    blocks = x.unfold(2, period, step).unfold(3, period, step)  # (B, c_in, down, across, period, period)
    out = x.new_empty(len(x), c_out, down * step, across * step)
    for picture, row in torch.cartesian_prod(torch.arange(len(x)), torch.arange(down)).tolist():
        seen = torch.fft.rfft2(blocks[picture, :, row]).permute(2, 3, 1, 0)  # (period, half, across, c_in)
        answer = torch.fft.irfft2((seen @ kernels).permute(3, 2, 0, 1), s=(period, period))[..., :step, :step]
        out[picture, :, row * step : (row + 1) * step] = answer.transpose(1, 2).flatten(2)
    return out[..., :height, :width] + bias[:, None, None]


def _spectra(weight: Tensor, period: int) -> Tensor:
    """Return conjugates of the kernels' transforms: (period, period // 2 + 1, c_in, c_out).

    Matrix products compute them, because kernels are small.
    """
    c_out, c_in, side, _ = weight.shape
    turns = torch.outer(torch.arange(period), torch.arange(side)).double() * (2 * math.pi / period)
    # Conjugates, because conv2d is a correlation.
    waves = torch.polar(torch.ones_like(turns), turns).to(torch.complex64)
    rows = waves @ weight.permute(2, 3, 1, 0).reshape(side, -1).to(waves.dtype)
    return (waves[: period // 2 + 1] @ rows.view(period, side, -1)).view(period, -1, c_in, c_out)
