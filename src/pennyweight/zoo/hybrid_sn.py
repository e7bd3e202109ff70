"""HybridSN: 3-D convolutions over bands and space, then a 2-D one, for the neighborhood of a pixel of a scene.

Roy et al. 2019, arXiv:1902.06701, Table I. (B, bands, window, window) -> (B, num_classes), where `in_channels` is the
number of bands. There is no padding, so the trunk removes 8 pixels from the window's width and height.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.nn import Style, WindowHead, WindowNetwork
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "HybridSN"]

# Table I: channels, kernel along the bands (it is 3×3 in space).
SPECTRAL = ((8, 7), (16, 5), (32, 3))
FEWEST_BANDS = 1 + sum(kernel - 1 for _, kernel in SPECTRAL)
HIDDEN = (256, 128)
SMALLEST_WINDOW = 1 + 2 * (len(SPECTRAL) + 1)


@dataclass(frozen=True, kw_only=True)
class Config(Style):
    """Fields of Table I, and those that the paper leaves open."""

    window: int = 25
    """Pixels a side of the neighborhood."""
    batch_norm: bool = False
    """Batch norm after every convolution; not in the paper."""
    dropout: float = 0.4
    """Dropout after the first two linear layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.batch_norm and self.bn_eps != Style.bn_eps:
            raise InputError(f"Config field 'bn_eps' ({self.bn_eps}) needs batch_norm: there are no norms without")


class SpectralStem(nn.Module):
    """Stem of 3-D convolutions, whose bands and channels become channels.

    (B, bands, H, W) -> (B, 32·(bands - 12), H - 6, W - 6).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = 1
        for c_out, kernel in SPECTRAL:
            layers.append(nn.Conv3d(c_in, c_out, (kernel, 3, 3)))
            if config.batch_norm:
                layers.append(nn.BatchNorm3d(c_out, eps=config.bn_eps))
            layers.append(config.act())
            c_in = c_out
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x.unsqueeze(1)).flatten(1, 2)
        return out


class HybridSN(WindowNetwork):
    """Network of Table I, for 13 or more bands and windows from 9 pixels; `stem` has no effect."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        if in_channels < FEWEST_BANDS:
            raise InputError(
                f"HybridSN needs at least {FEWEST_BANDS} bands (in_channels), not {in_channels}; 15 or 30 are usual"
            )
        if config.window < SMALLEST_WINDOW:
            raise InputError(
                f"Config field 'window' must be at least {SMALLEST_WINDOW}, not {config.window}; 25 is usual"
            )
        self.window = config.window
        self.stem = SpectralStem(config)
        c_in = SPECTRAL[-1][0] * (in_channels - FEWEST_BANDS + 1)
        norm = [config.norm(64)] if config.batch_norm else []
        self.trunk = nn.Sequential(nn.Sequential(nn.Conv2d(c_in, 64, 3), *norm, config.act()))
        side = config.window - SMALLEST_WINDOW + 1
        self.head = WindowHead(64, side, HIDDEN, num_classes, act=config.act(), dropout=config.dropout)
        self.assemble(in_channels=in_channels, features=[(64, 1)])


def _variant(*, batch_norm: bool, params: int, macs: int) -> Variant[Config]:
    return Variant(
        Config(batch_norm=batch_norm),
        params=params,
        macs=macs,
        top1=None,
        paper="arXiv:1902.06701, Table I",
        input_shape=(30, 25, 25),
        num_classes=16,
    )


# params and macs (16 classes, 30 bands, 25×25: Indian Pines) are claims that a test measures.
VARIANTS = {
    "hybrid_sn": _variant(batch_norm=False, params=5_122_176, macs=247_683_392),
    "hybrid_sn_bn": _variant(batch_norm=True, params=5_122_416, macs=247_683_392),
}
