"""WindowCNN: three plain 3×3 convolutions over the neighborhood of a pixel of a scene, with bands as channels.

The baseline follows the 2-D CNN that Roy et al. 2019 (arXiv:1902.06701, Table II) compare HybridSN with. (B, bands,
window, window) -> (B, num_classes), where `in_channels` is the number of bands. There is no padding.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.nn import Style, WindowHead, WindowNetwork
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "WindowCNN"]

CONVOLUTIONS = 3
SMALLEST_WINDOW = 1 + 2 * CONVOLUTIONS


@dataclass(frozen=True, kw_only=True)
class Config(Style):
    """Fields of the network."""

    window: int = 25
    """Pixels a side of the neighborhood; odd."""
    width: int = 64
    """Channels of every convolution."""
    dropout: float = 0.4


class WindowCNN(WindowNetwork):
    """Three convolutions, two linear layers; `stem` has no effect."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        if config.window < SMALLEST_WINDOW:
            raise InputError(
                f"Config field 'window' must be at least {SMALLEST_WINDOW}, not {config.window}; 25 is usual"
            )
        self.window = config.window
        self.stem = nn.Sequential(nn.Conv2d(in_channels, config.width, 3), config.act())
        self.trunk = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(config.width, config.width, 3), config.act()) for _ in range(CONVOLUTIONS - 1))
        )
        side = config.window - SMALLEST_WINDOW + 1
        self.head = WindowHead(config.width, side, (128,), num_classes, act=config.act(), dropout=config.dropout)
        self.assemble(in_channels=in_channels, features=[(config.width, 1)] * (CONVOLUTIONS - 1))


# params and macs (16 classes, 30 bands, 25×25: Indian Pines) are claims that a test measures.
VARIANTS = {
    "window_cnn": Variant(
        Config(),
        params=3_050_704,
        macs=41_665_408,
        top1=None,
        paper="arXiv:1902.06701, Table II",
        input_shape=(30, 25, 25),
        num_classes=16,
    ),
}
