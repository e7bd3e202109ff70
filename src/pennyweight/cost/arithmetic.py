"""The papers' arithmetic: multiply-accumulates and parameters of a convolution or a unit, from its sizes alone.

Every convolution keeps height × width (h·w positions, `places`) and has no bias. Norms are left out, as in the papers.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "Parts",
    "Scaling",
    "compound_scaling",
    "depthwise",
    "grouped",
    "pointwise",
    "resnet_unit",
    "resnext_unit",
    "separable",
    "shufflenet_unit",
    "standard",
]


class Parts(NamedTuple):
    """Multiply-accumulates and parameters of one part of a network."""

    macs: int
    params: int

    def plus(self, *others: Parts) -> Parts:
        """Add other parts to this one."""
        return Parts(self.macs + sum(o.macs for o in others), self.params + sum(o.params for o in others))


class Scaling(NamedTuple):
    """Factors on depth, width and resolution, and the factors on multiply-accumulates and parameters that follow."""

    depth: float
    width: float
    resolution: float
    macs: float
    params: float


def standard(c_in: int, c_out: int, *, kernel: int, places: int) -> Parts:
    """Count a standard convolution: K·K·M·N·h·w. MobileNet, arXiv:1704.04861, Eq. 2."""
    params = kernel * kernel * c_in * c_out
    return Parts(params * places, params)


def grouped(c_in: int, c_out: int, *, kernel: int, groups: int, places: int) -> Parts:
    """Count a grouped convolution: K·K·M·N·h·w / g. ResNeXt, arXiv:1611.05431, Sec. 3.3.

    Raises ValueError unless `groups` divides both widths.
    """
    if c_in % groups or c_out % groups:
        raise ValueError(f"widths {c_in} and {c_out} must be divisible by the groups (={groups})")
    params = kernel * kernel * (c_in // groups) * c_out
    return Parts(params * places, params)


def depthwise(channels: int, *, kernel: int, places: int) -> Parts:
    """Count a depthwise convolution: K·K·M·h·w. arXiv:1704.04861, Eq. 4."""
    return grouped(channels, channels, kernel=kernel, groups=channels, places=places)


def pointwise(c_in: int, c_out: int, *, places: int) -> Parts:
    """Count a pointwise (1×1) convolution: M·N·h·w."""
    return standard(c_in, c_out, kernel=1, places=places)


def separable(c_in: int, c_out: int, *, kernel: int, places: int) -> Parts:
    """Count a depthwise and a pointwise convolution: 1/N + 1/K² of a standard one. arXiv:1704.04861, Eq. 5."""
    return depthwise(c_in, kernel=kernel, places=places).plus(pointwise(c_in, c_out, places=places))


def resnet_unit(c: int, m: int, *, places: int) -> Parts:
    """Count 1×1 to m channels, 3×3, 1×1 back to c: h·w·(2cm + 9m²). ShuffleNet, arXiv:1707.01083, Sec. 3.2."""
    return resnext_unit(c, m, groups=1, places=places)


def resnext_unit(c: int, m: int, *, groups: int, places: int) -> Parts:
    """Count a ResNet unit with a grouped 3×3: h·w·(2cm + 9m²/g). arXiv:1707.01083, Sec. 3.2."""
    outer = pointwise(c, m, places=places).plus(pointwise(m, c, places=places))
    return outer.plus(grouped(m, m, kernel=3, groups=groups, places=places))


def shufflenet_unit(c: int, m: int, *, groups: int, places: int) -> Parts:
    """Count grouped 1×1, depthwise 3×3, grouped 1×1: h·w·(2cm/g + 9m). arXiv:1707.01083, Sec. 3.2."""
    ends = grouped(c, m, kernel=1, groups=groups, places=places), grouped(m, c, kernel=1, groups=groups, places=places)
    return depthwise(m, kernel=3, places=places).plus(*ends)


def compound_scaling(phi: float, *, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Scaling:
    """Return EfficientNet's compound scaling: depth α^φ, width β^φ, resolution γ^φ.

    The work grows by (α·β²·γ²)^φ, about 2^φ, and the parameters by (α·β²)^φ. arXiv:1905.11946, Eq. 3.
    """
    work = alpha * beta**2 * gamma**2
    return Scaling(alpha**phi, beta**phi, gamma**phi, work**phi, (alpha * beta**2) ** phi)
