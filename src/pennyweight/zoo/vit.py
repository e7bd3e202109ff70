"""ViT: a Transformer's encoder over the patches of an image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.frame import Size, as_size, show_size, sides_of
from pennyweight.nn import Network
from pennyweight.nn.attention import EncoderBlock
from pennyweight.nn.blocks import last_layer
from pennyweight.zoo.variant import Variant

__all__ = ["VARIANTS", "Config", "ViT"]

STAGES = 4  # groups of blocks in `features`, all at one resolution


@dataclass(frozen=True, kw_only=True)
class Config:
    """Row of Table 1."""

    size: int | tuple[int, int] | None = None
    """Input side in pixels, or (height, width); by default 224, or 32 in the small-image form. Positions are learned
    for this size."""
    patch: int = 16
    d: int = 768
    heads: int = 12
    blocks: int = 12
    hidden: int = 3072
    dropout: float = 0.0
    drop_path: float = 0.0
    """Stochastic depth: probability that training skips the last block; earlier blocks have less, linearly."""

    def __post_init__(self) -> None:
        if isinstance(self.size, tuple):
            object.__setattr__(self, "size", as_size(self.size, "Config field 'size'"))
        if self.heads < 1 or self.d % self.heads:
            raise InputError(f"Config field 'd' ({self.d}) must be divisible by 'heads' ({self.heads})")
        if self.blocks < STAGES:
            raise InputError(f"Config field 'blocks' must be at least {STAGES}, not {self.blocks}")


class PatchEmbedding(nn.Module):
    """Patches as tokens, a class token before them, learned positions added. (B, c_in, H, W) -> (B, 1 + N, d)."""

    def __init__(self, c_in: int, d: int, *, size: Size, patch: int) -> None:
        super().__init__()
        height, width = sides_of(size)
        if patch < 1:
            raise InputError(f"Config field 'patch' must be at least 1, not {patch}")
        if height % patch or width % patch:
            nearest = as_size([max(patch, round(side / patch) * patch) for side in (height, width)])
            raise InputError(
                f"the input of {show_size(size)} pixels is not divisible by the patches of {patch}; "
                f"{show_size(nearest, 'x')} is"
            )
        self.patch_size, self.grid_size = (patch, patch), (height // patch, width // patch)
        self.project = nn.Conv2d(c_in, d, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, d))
        positions = torch.empty(1, 1 + self.grid_size[0] * self.grid_size[1], d)
        self.positions = nn.Parameter(nn.init.normal_(positions, std=0.02))

    def forward(self, x: Tensor) -> Tensor:
        patches = self.project(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), patches], dim=1)
        return tokens + self.positions


class ViTHead(nn.Module):
    """Layer norm, the class token, linear. (B, T, d) -> (B, num_classes)."""

    def __init__(self, d: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self.num_features = d
        self.linear = last_layer(d, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(x)[:, 0])
        return logits


class ViT(Network):
    """Networks of Table 1. `stem` is "imagenet" or "cifar" (32-pixel inputs, a quarter of the patch side)."""

    def __init__(self, config: Config, *, num_classes: int, in_channels: int, stem: str) -> None:
        super().__init__()
        small = stem == "cifar"
        self.size: Size = (32 if small else 224) if config.size is None else config.size
        patch = config.patch // 4 if small else config.patch
        self.stem = PatchEmbedding(in_channels, config.d, size=self.size, patch=patch)
        blocks = [
            EncoderBlock(
                config.d,
                config.heads,
                config.hidden,
                norm_first=True,
                act=nn.GELU(),
                dropout=config.dropout,
                drop_path=config.drop_path * number / max(1, config.blocks - 1),
                eps=1e-6,
            )
            for number in range(config.blocks)
        ]
        cuts = [round(stage * config.blocks / STAGES) for stage in range(STAGES + 1)]
        self.trunk = nn.Sequential(*(nn.Sequential(*blocks[start:end]) for start, end in pairwise(cuts)))
        self.head = ViTHead(config.d, num_classes)
        self.assemble(in_channels=in_channels, features=[(config.d, patch)] * STAGES)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the patches' tokens after each quarter of the blocks, as maps (B, d, height/patch, width/patch)."""
        assert isinstance(self.stem, PatchEmbedding)
        grid = self.stem.grid_size
        return [tokens[:, 1:].transpose(1, 2).reshape(x.shape[0], -1, *grid) for tokens in super().features(x)]

    def check(self, x: Tensor) -> None:
        super().check(x)
        height, width = sides_of(self.size)
        if tuple(x.shape[2:]) != (height, width):
            raise InputError(
                f"this ViT takes {height}×{width} pixels, received {x.shape[2]}×{x.shape[3]}; "
                f"resize the input, or create it with another size that patches of {self.feature_strides[0]} divide"
            )


def _variant(
    d: int, heads: int, blocks: int, patch: int, paper: str, *, params: int, macs: int, top1: float
) -> Variant[Config]:
    config = Config(patch=patch, d=d, heads=heads, blocks=blocks, hidden=4 * d)
    return Variant(config, params=params, macs=macs, top1=top1, paper=paper)


DEIT = "arXiv:2012.12877, Table 5"
TORCHVISION = "torchvision, IMAGENET1K_V1"


# params and macs (1000 classes, 3×224×224, attention products included) are claims that a test measures; top1 in %.
VARIANTS = {
    "vit_ti_16": _variant(192, 3, 12, 16, DEIT, params=5_717_416, macs=1_253_683_200, top1=72.2),
    "vit_s_16": _variant(384, 6, 12, 16, DEIT, params=22_050_664, macs=4_598_882_304, top1=79.8),
    "vit_b_16": _variant(768, 12, 12, 16, TORCHVISION, params=86_567_656, macs=17_563_828_224, top1=81.1),
    "vit_b_32": _variant(768, 12, 12, 32, TORCHVISION, params=88_224_232, macs=4_409_186_304, top1=75.9),
    "vit_l_16": _variant(1024, 16, 24, 16, TORCHVISION, params=304_326_632, macs=61_554_712_576, top1=79.7),
}
