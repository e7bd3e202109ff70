"""Initialization of weights, in one place."""

from __future__ import annotations

import math

from torch import nn

__all__ = ["initialize"]


def initialize(network: nn.Module) -> None:
    """Initialize every layer's weights, in place; a module initializes its own parameters outside layers.

    Convolutions by He et al. 2015 (arXiv:1502.01852, fan-out); norms to identity; linear layers of modules with
    `glorot` (attention, feed-forward) by Glorot and Bengio 2010 (uniform); other linear layers normal with deviation
    0.01, as in VGG; embeddings of d numbers normal with deviation 1/√d; biases to zero.
    """
    attentive = {
        id(layer) for block in network.modules() if getattr(block, "glorot", False) for layer in block.modules()
    }
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            # Each output channel gets gradients only from its own group's channels. Without the division,
            # depthwise weights start so small that the signal vanishes after a few blocks.
            fan_out = module.weight[0, 0].numel() * module.out_channels / module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
        elif isinstance(module, nn.Linear):
            if id(module) in attentive:
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
