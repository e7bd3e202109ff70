"""SpectralMLP: the spectrum of one pixel through linear layers, a baseline that ignores the neighborhood.

It has no paper of its own. (B, bands, window, window) -> (B, num_classes), where `in_channels` is the number of bands;
it sees only the center pixel of the window.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pennyweight.nn import Style, WindowHead, WindowNetwork
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "SpectralMLP"]


@dataclass(frozen=True, kw_only=True)
class Config(Style):
    """Fields of the network."""

    window: int = 1
    """Pixels a side of the given neighborhood, of which the network sees the center; odd."""
    hidden: int = 256
    """Units of each of the two hidden layers."""
    dropout: float = 0.1


class Middle(nn.Module):
    """Crop that removes half a window on each side. (B, C, H, W) -> (B, C, H - window + 1, W - window + 1)."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        half = self.window // 2
        return x[:, :, half : x.shape[2] - half, half : x.shape[3] - half]


class SpectralMLP(WindowNetwork):
    """Linear layers written as 1×1 convolutions, which also classify a whole tile; `stem` has no effect."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        self.window = config.window
        self.stem = Middle(config.window)
        self.trunk = nn.Sequential(nn.Sequential(nn.Conv2d(in_channels, config.hidden, 1), config.act()))
        self.head = WindowHead(
            config.hidden, 1, (config.hidden,), num_classes, act=config.act(), dropout=config.dropout
        )
        self.assemble(in_channels=in_channels, features=[(config.hidden, 1)])


# params and macs (16 classes, 200 bands: Indian Pines) are claims that a test measures.
VARIANTS = {
    "spectral_mlp": Variant(
        Config(),
        params=121_360,
        macs=120_832,
        top1=None,
        paper="a baseline",
        input_shape=(200, 1, 1),
        num_classes=16,
    ),
}
