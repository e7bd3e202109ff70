"""How other libraries name the same weights: a table of prefixes for each network and library.

A rule reads: where our key begins so, theirs begins so; what follows is the same in both. The first rule that fits
counts. In our part `*` stands for a number; in theirs `{s}` is the stage, `{b}` the block in it and `{n}` the block in
the whole trunk, all from 0; `{n+1}` and the like are counted from there, `{n+stem}` after the stem's layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn

from pennyweight.core.errors import InputError, nearest
from pennyweight.nn import Network
from pennyweight.zoo.efficientnet import EfficientNet
from pennyweight.zoo.mobilenet_v1 import MobileNetV1
from pennyweight.zoo.mobilenet_v2 import MobileNetV2
from pennyweight.zoo.resnet import ResNet
from pennyweight.zoo.resnext import ResNeXt
from pennyweight.zoo.shufflenet_v2 import ShuffleNetV2
from pennyweight.zoo.vgg import VGG
from pennyweight.zoo.vit import ViT

__all__ = ["LAYOUTS", "Layout", "Rule", "translate"]

Layout = Literal["auto", "pennyweight", "torchvision", "timm"]


def whole(tensor: Tensor) -> Tensor:
    return tensor


def third(number: int) -> Callable[[Tensor], Tensor]:
    """One of three equal parts of the rows, where query, key and value are one tensor."""
    return lambda tensor: tensor.tensor_split(3)[number] if tensor.ndim else tensor


def as_linear(tensor: Tensor) -> Tensor:
    """A convolution over all of its input as a linear layer: (c_out, c_in, K, K) -> (c_out, c_in·K·K)."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor


class Rule(NamedTuple):
    """Keys that begin with `ours` hold what theirs hold under `theirs`, or part of it."""

    ours: str
    theirs: str
    part: Callable[[Tensor], Tensor] = whole
    older: str | None = None
    """What their earlier files have in place of `theirs`."""


Rules = tuple[Rule, ...]


def _pair(ours: str, theirs: str, conv: str, norm: str) -> Rules:
    """A ConvNormAct whose two layers have names of their own there."""
    return (Rule(f"{ours}0.", f"{theirs}{conv}."), Rule(f"{ours}1.", f"{theirs}{norm}."))


PENNYWEIGHT: Rules = (Rule("", ""),)

# timm's names for the blocks of all families with depthwise convolutions.
TIMM = "blocks.{s}.{b}."
TIMM_ENDS: Rules = (
    *_pair("stem.", "", "conv_stem", "bn1"),
    *_pair("head.conv.", "", "conv_head", "bn2"),
    Rule("head.linear.", "classifier."),
)
# Expansion 1 is in stage 0 alone, and there layers are one fewer.
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
    # The projection and its norm stand beside the other layers there: 1 and 2 without an expansion, 2 and 3 with.
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


def translate(
    network: Network, state: Mapping[str, Tensor], layout: Layout = "auto", *, name: str = "the state dict"
) -> dict[str, Tensor]:
    """`state`, named as `layout` names it, under our keys; "auto" is the layout that fits best. A new dictionary.

    Norms' counts of batches may be missing and are then the network's own. Tensors have as many dimensions as ours, but
    sizes are not compared: other classes and channels can still be fitted. Raises InputError for a layout that the
    network does not have, and for another network's weights: how many keys differ, and the first.
    """
    known = {"pennyweight": PENNYWEIGHT, **LAYOUTS.get(type(network), {})}
    if layout != "auto" and layout not in known:
        hint = f"; there are auto, {', '.join(known)}"
        if layout not in get_args(Layout):
            hint = nearest(layout, known, otherwise=hint)
        raise InputError(f"{name}: {type(network).__name__} has no layout '{layout}'{hint}")
    tried = [_match(network, state, known[one], one) for one in (known if layout == "auto" else [layout])]
    best = min(tried, key=lambda match: len(match.missing) + len(match.odd))
    if best.missing or best.odd:
        missing, odd = len(best.missing), len(best.odd)
        first = f"first missing '{best.missing[0]}'" if missing else f"first odd '{best.odd[0]}'"
        raise InputError(
            f"{name} holds another network's weights, or those of an earlier form of this one: in the layout of "
            f"{best.layout}, {missing} of {len(network.state_dict())} keys are missing and {odd} of {len(state)} are "
            f"odd, {first}"
        )
    return best.found


class _Match(NamedTuple):
    """What a layout finds: tensors by our keys, their keys that are missing, those that are odd."""

    layout: str
    found: dict[str, Tensor]
    missing: list[str]
    odd: list[str]


def _match(network: Network, state: Mapping[str, Tensor], rules: Rules, layout: str) -> _Match:
    found: dict[str, Tensor] = {}
    missing: list[str] = []
    used: set[str] = set()
    starts = list(accumulate((len(list(stage.children())) for stage in network.trunk), initial=0))
    counts = {"stages+1": len(network.trunk) + 1, "blocks+1": starts[-1] + 1}
    for key, own in network.state_dict().items():
        places = counts | _places(key, starts, stem=network.stem)
        theirs, part = _theirs(key, rules, places, state)
        used.add(theirs)
        if theirs in state:
            tensor = part(state[theirs])
            if tensor.ndim == own.ndim:
                found[key] = tensor
                continue
        elif key.endswith(".num_batches_tracked"):
            found[key] = own
            continue
        missing.append(theirs)
    return _Match(layout, found, missing, [key for key in state if key not in used])


def _places(key: str, starts: list[int], *, stem: nn.Module) -> dict[str, int]:
    """Where in the trunk a key is, as rules may say it."""
    place = re.match(r"trunk\.(\d+)\.(\d+)\.", key)
    if place is None:
        return {}
    s, b = int(place[1]), int(place[2])
    n = starts[s] + b
    stem_layers = len(list(stem.children()))
    return {"s": s, "s+1": s + 1, "s+2": s + 2, "b": b, "n": n, "n+1": n + 1, "n+stem": n + stem_layers}


def _theirs(
    key: str, rules: Rules, places: Mapping[str, int], state: Mapping[str, Tensor]
) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Their key for one of ours, and which part of the tensor is meant; our own key where they have none."""
    for rule in rules:
        start = re.match(re.escape(rule.ours).replace(r"\*", r"\d+"), key)
        if start is not None:
            rest = key[start.end() :]
            names = [form.format_map(places) + rest for form in (rule.theirs, rule.older) if form is not None]
            return next((name for name in names if name in state), names[0]), rule.part
    return key, whole
