"""Layouts of other libraries: how torchvision and timm name the same weights, as a table of key prefixes.

A rule maps a prefix of our keys to a prefix of theirs; the rest of the key is the same in both. The first matching rule
counts. In our prefix `*` stands for a number. In theirs `{s}` is the stage, `{b}` the block in it and `{n}` the block
in the whole trunk, all counted from 0; `{n+1}` and the like add to that number, `{n+stem}` adds the stem's layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor

from pennyweight.nn import Network
from pennyweight.zoo.efficientnet import EfficientNet
from pennyweight.zoo.mobilenet_v1 import MobileNetV1
from pennyweight.zoo.mobilenet_v2 import MobileNetV2
from pennyweight.zoo.resnet import ResNet
from pennyweight.zoo.resnext import ResNeXt
from pennyweight.zoo.shufflenet_v2 import ShuffleNetV2
from pennyweight.zoo.vgg import VGG
from pennyweight.zoo.vit import ViT

__all__ = ["LAYOUTS", "PENNYWEIGHT", "Layout", "Rule", "Rules", "whole"]

Layout = Literal["auto", "pennyweight", "torchvision", "timm"]


def whole(tensor: Tensor) -> Tensor:
    """Return the tensor itself."""
    return tensor


def third(number: int) -> Callable[[Tensor], Tensor]:
    """Return a function that takes one of three equal parts of the rows, for a fused query-key-value tensor."""
    return lambda tensor: tensor.tensor_split(3)[number] if tensor.ndim else tensor


def as_linear(tensor: Tensor) -> Tensor:
    """Convert a convolution over its whole input to a linear layer: (c_out, c_in, K, K) -> (c_out, c_in·K·K)."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor


class Rule(NamedTuple):
    """Mapping of keys: those that begin with `ours` hold the tensor that begins with `theirs`, or part of it."""

    ours: str
    theirs: str
    part: Callable[[Tensor], Tensor] = whole
    older: str | None = None
    """Prefix in their earlier files in place of `theirs`."""


Rules = tuple[Rule, ...]


def _pair(ours: str, theirs: str, conv: str, norm: str) -> Rules:
    """Return rules for a ConvNormAct whose convolution and norm have names of their own there."""
    return (Rule(f"{ours}0.", f"{theirs}{conv}."), Rule(f"{ours}1.", f"{theirs}{norm}."))


PENNYWEIGHT: Rules = (Rule("", ""),)

# timm's names for the blocks of all families with depthwise convolutions.
TIMM = "blocks.{s}.{b}."
TIMM_ENDS: Rules = (
    *_pair("stem.", "", "conv_stem", "bn1"),
    *_pair("head.conv.", "", "conv_head", "bn2"),
    Rule("head.linear.", "classifier."),
)
# Only stage 0 has expansion 1, and so one layer fewer.
TIMM_EXPANDED: Rules = (
    *_pair("trunk.0.*.layers.0.", TIMM, "conv_dw", "bn1"),
    *_pair("trunk.*.*.layers.0.", TIMM, "conv_pw", "bn1"),
    *_pair("trunk.*.*.layers.1.", TIMM, "conv_dw", "bn2"),
)

MOBILENET_V1_TIMM: Rules = (
    *TIMM_ENDS,
    *_pair("trunk.*.*.0.", TIMM, "conv_dw", "bn1"),
    *_pair("trunk.*.*.1.", TIMM, "conv_pw", "bn2"),
)

MOBILENET_V2_TIMM: Rules = (
    *TIMM_ENDS,
    *_pair("trunk.0.*.layers.1.", TIMM, "conv_pw", "bn2"),
    *TIMM_EXPANDED,
    *_pair("trunk.*.*.layers.2.", TIMM, "conv_pwl", "bn3"),
)
MOBILENET_V2_TORCHVISION: Rules = (
    Rule("stem.", "features.0."),
    # There the projection and its norm are numbered with the other layers: 1 and 2 without an expansion, else 2 and 3.
    *_pair("trunk.0.*.layers.1.", "features.{n+1}.conv.", "1", "2"),
    *_pair("trunk.*.*.layers.2.", "features.{n+1}.conv.", "2", "3"),
    Rule("trunk.*.*.layers.", "features.{n+1}.conv."),
    Rule("head.conv.", "features.{blocks+1}."),
    Rule("head.linear.", "classifier.1."),
)

EFFICIENTNET_TIMM: Rules = (
    *TIMM_ENDS,
    Rule("trunk.*.*.layers.1.reduce.", TIMM + "se.conv_reduce."),
    Rule("trunk.*.*.layers.1.expand.", TIMM + "se.conv_expand."),
    *_pair("trunk.0.*.layers.2.", TIMM, "conv_pw", "bn2"),
    *TIMM_EXPANDED,
    Rule("trunk.*.*.layers.2.reduce.", TIMM + "se.conv_reduce."),
    Rule("trunk.*.*.layers.2.expand.", TIMM + "se.conv_expand."),
    *_pair("trunk.*.*.layers.3.", TIMM, "conv_pwl", "bn3"),
)
EFFICIENTNET_TORCHVISION: Rules = (
    Rule("stem.", "features.0."),
    Rule("trunk.*.*.layers.1.reduce.", "features.{s+1}.{b}.block.1.fc1."),
    Rule("trunk.*.*.layers.1.expand.", "features.{s+1}.{b}.block.1.fc2."),
    Rule("trunk.*.*.layers.2.reduce.", "features.{s+1}.{b}.block.2.fc1."),
    Rule("trunk.*.*.layers.2.expand.", "features.{s+1}.{b}.block.2.fc2."),
    Rule("trunk.*.*.layers.", "features.{s+1}.{b}.block."),
    Rule("head.conv.", "features.{stages+1}."),
    Rule("head.linear.", "classifier.1."),
)

SHUFFLENET_V2_TORCHVISION: Rules = (
    Rule("stem.0.", "conv1."),
    *_pair("trunk.*.*.left.0.", "stage{s+2}.{b}.branch1.", "0", "1"),
    *_pair("trunk.*.*.left.1.", "stage{s+2}.{b}.branch1.", "2", "3"),
    *_pair("trunk.*.*.right.0.", "stage{s+2}.{b}.branch2.", "0", "1"),
    *_pair("trunk.*.*.right.1.", "stage{s+2}.{b}.branch2.", "3", "4"),
    *_pair("trunk.*.*.right.2.", "stage{s+2}.{b}.branch2.", "5", "6"),
    Rule("head.conv.", "conv5."),
    Rule("head.linear.", "fc."),
)

RESIDUAL_TORCHVISION: Rules = (
    *_pair("stem.0.", "", "conv1", "bn1"),
    *_pair("trunk.*.*.layers.0.", "layer{s+1}.{b}.", "conv1", "bn1"),
    *_pair("trunk.*.*.layers.1.", "layer{s+1}.{b}.", "conv2", "bn2"),
    *_pair("trunk.*.*.layers.2.", "layer{s+1}.{b}.", "conv3", "bn3"),
    Rule("trunk.*.*.shortcut.", "layer{s+1}.{b}.downsample."),
    Rule("head.linear.", "fc."),
)
RESIDUAL_TIMM: Rules = (
    *RESIDUAL_TORCHVISION,
    Rule("trunk.*.*.se.reduce.", "layer{s+1}.{b}.se.fc1."),
    Rule("trunk.*.*.se.expand.", "layer{s+1}.{b}.se.fc2."),
)

# Stem and stages are one flat sequence there.
VGG_FEATURES: Rules = (Rule("stem.", "features."), Rule("trunk.*.*.", "features.{n+stem}."))
VGG_TORCHVISION: Rules = (
    *VGG_FEATURES,
    Rule("head.layers.", "classifier."),
    Rule("head.linear.", "classifier.6."),
)
VGG_TIMM: Rules = (
    *VGG_FEATURES,
    Rule("head.layers.0.", "pre_logits.fc1.", as_linear),
    Rule("head.layers.3.", "pre_logits.fc2.", as_linear),
    Rule("head.linear.", "head.fc."),
)

VIT_TIMM: Rules = (
    Rule("stem.project.", "patch_embed.proj."),
    Rule("stem.class_token", "cls_token"),
    Rule("stem.positions", "pos_embed"),
    Rule("trunk.*.*.attention_norm.", "blocks.{n}.norm1."),
    Rule("trunk.*.*.attention.query.", "blocks.{n}.attn.qkv.", third(0)),
    Rule("trunk.*.*.attention.key.", "blocks.{n}.attn.qkv.", third(1)),
    Rule("trunk.*.*.attention.value.", "blocks.{n}.attn.qkv.", third(2)),
    Rule("trunk.*.*.attention.out.", "blocks.{n}.attn.proj."),
    Rule("trunk.*.*.feed_norm.", "blocks.{n}.norm2."),
    Rule("trunk.*.*.feed.0.", "blocks.{n}.mlp.fc1."),
    Rule("trunk.*.*.feed.3.", "blocks.{n}.mlp.fc2."),
    Rule("head.norm.", "norm."),
    Rule("head.linear.", "head."),
)
ENCODER = "encoder.layers.encoder_layer_{n}."
VIT_TORCHVISION: Rules = (
    Rule("stem.project.", "conv_proj."),
    Rule("stem.class_token", "class_token"),
    Rule("stem.positions", "encoder.pos_embedding"),
    Rule("trunk.*.*.attention_norm.", ENCODER + "ln_1."),
    Rule("trunk.*.*.attention.query.", ENCODER + "self_attention.in_proj_", third(0)),
    Rule("trunk.*.*.attention.key.", ENCODER + "self_attention.in_proj_", third(1)),
    Rule("trunk.*.*.attention.value.", ENCODER + "self_attention.in_proj_", third(2)),
    Rule("trunk.*.*.attention.out.", ENCODER + "self_attention.out_proj."),
    Rule("trunk.*.*.feed_norm.", ENCODER + "ln_2."),
    Rule("trunk.*.*.feed.0.", ENCODER + "mlp.0.", older=ENCODER + "mlp.linear_1."),
    Rule("trunk.*.*.feed.3.", ENCODER + "mlp.3.", older=ENCODER + "mlp.linear_2."),
    Rule("head.norm.", "encoder.ln."),
    Rule("head.linear.", "heads.head."),
)

LAYOUTS: Mapping[type[Network], Mapping[str, Rules]] = {
    MobileNetV1: {"timm": MOBILENET_V1_TIMM},
    MobileNetV2: {"torchvision": MOBILENET_V2_TORCHVISION, "timm": MOBILENET_V2_TIMM},
    ShuffleNetV2: {"torchvision": SHUFFLENET_V2_TORCHVISION},
    EfficientNet: {"torchvision": EFFICIENTNET_TORCHVISION, "timm": EFFICIENTNET_TIMM},
    ResNet: {"torchvision": RESIDUAL_TORCHVISION, "timm": RESIDUAL_TIMM},
    ResNeXt: {"torchvision": RESIDUAL_TORCHVISION, "timm": RESIDUAL_TIMM},
    VGG: {"torchvision": VGG_TORCHVISION, "timm": VGG_TIMM},
    ViT: {"torchvision": VIT_TORCHVISION, "timm": VIT_TIMM},
}
