"""Names of other libraries, without those libraries; `test_peers.py` compares with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pennyweight.core.errors import InputError
from pennyweight.nn import Network
from pennyweight.nn.init import meta_device
from pennyweight.zoo import FAMILIES, create, names, variant
from pennyweight.zoo.weights.layouts import LAYOUTS
from pennyweight.zoo.weights.translate import translate


def meta(name: str, **options: Any) -> Network:
    with meta_device():
        return create(name, **options)


SMALLEST = [min(family.variants, key=lambda name: family.variants[name].params) for family in FAMILIES]
# One row of each family in the default set, every other in the slow one.
ROWS = [pytest.param(name, marks=() if name in SMALLEST else pytest.mark.slow) for name in names()]


@pytest.mark.parametrize("name", ROWS)
def test_own_names_stay(name: str) -> None:
    network = meta(name, in_channels=variant(name).input_shape[0])
    state = network.state_dict()
    found = translate(network, state)
    assert list(found) == list(state)
    assert all(found[key] is state[key] for key in state)


@pytest.mark.parametrize("network", LAYOUTS)
def test_layouts_are_of_families(network: type[Network]) -> None:
    assert network in {family.network for family in FAMILIES}


def test_counts_of_batches_may_be_missing() -> None:
    network = create("mobilenet_v1_x0_25")
    state = {key: tensor + 1 for key, tensor in network.state_dict().items() if "num_batches" not in key}
    found = translate(network, state)
    assert set(found) == set(network.state_dict())
    assert found["stem.1.num_batches_tracked"] == 0
    assert (found["stem.1.bias"] == 1).all()


def test_the_state_that_came_is_not_changed() -> None:
    network = meta("mobilenet_v1_x0_25")
    state = network.state_dict()
    translate(network, state).clear()
    assert len(state) == len(network.state_dict())


def test_other_classes_and_channels_pass() -> None:
    found = translate(meta("resnet18", num_classes=10), meta("resnet18", in_channels=1).state_dict())
    assert found["head.linear.weight"].shape[0] == 1000
    assert found["stem.0.0.weight"].shape[1] == 1


def test_missing_and_odd_keys_are_counted() -> None:
    network = meta("mobilenet_v1_x0_25")
    state = network.state_dict()
    total = len(state)
    del state["head.linear.bias"]
    with pytest.raises(InputError) as missing:
        translate(network, state, name="w.pth")
    assert str(missing.value) == (
        f"w.pth holds another network's weights, or those of an earlier form of this one: in the layout of "
        f"pennyweight, 1 of {total} keys are missing and 0 of {total - 1} are odd, first missing 'head.linear.bias'"
    )
    state["head.linear.bias"] = state["extra"] = torch.zeros(1000)
    with pytest.raises(InputError, match=rf"0 of {total} keys are missing and 1 of {total + 1} are odd, first odd 'ex"):
        translate(network, state)


@pytest.mark.parametrize("tensor", [torch.zeros(()), torch.zeros(2), torch.zeros(1, 3, 7)])
def test_tensors_of_other_dimensions_are_refused(tensor: torch.Tensor) -> None:
    network = meta("vgg11")
    with pytest.raises(InputError, match=r"1 of 22 keys are missing .*'stem\.0\.weight'"):
        translate(network, network.state_dict() | {"stem.0.weight": tensor})
    vit = meta("vit_ti_16")
    timm = {"blocks.0.attn.qkv.weight": tensor, "pos_embed": torch.zeros(1, 197, 192)}
    with pytest.raises(InputError, match="keys are missing"):
        translate(vit, timm, "timm")


@pytest.mark.parametrize(
    ("name", "layout", "message"),
    [
        ("resnet18", "torchvison", "ResNet has no layout 'torchvison'; did you mean 'torchvision'?"),
        ("resnet18", "keras", "ResNet has no layout 'keras'; there are auto, pennyweight, torchvision, timm"),
        ("mobilenet_v1", "torchvision", "MobileNetV1 has no layout 'torchvision'; there are auto, pennyweight, timm"),
        ("resnet_9", "timm", "ResNet9 has no layout 'timm'; there are auto, pennyweight"),
    ],
)
def test_an_unknown_layout_is_named(name: str, layout: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        translate(meta(name), {}, layout)
    assert str(error.value) == f"the state dict: {message}"


def test_earlier_files_of_torchvisions_vit() -> None:
    """Their feed-forward layers were named mlp.linear_1 and mlp.linear_2."""
    network = create("vit_ti_16", blocks=4)
    own = network.state_dict()
    state = {
        "conv_proj.weight": own["stem.project.weight"],
        "conv_proj.bias": own["stem.project.bias"],
        "class_token": own["stem.class_token"],
        "encoder.pos_embedding": own["stem.positions"],
    }
    names_ = {"head.norm": "encoder.ln", "head.linear": "heads.head"}
    for number in range(4):
        block, theirs = f"trunk.{number}.0", f"encoder.layers.encoder_layer_{number}"
        parts = [own[f"{block}.attention.{part}.weight"] for part in ("query", "key", "value")]
        state[f"{theirs}.self_attention.in_proj_weight"] = torch.cat(parts)
        state[f"{theirs}.self_attention.in_proj_bias"] = torch.zeros(3 * 192)
        names_ |= {
            f"{block}.attention_norm": f"{theirs}.ln_1",
            f"{block}.attention.out": f"{theirs}.self_attention.out_proj",
            f"{block}.feed_norm": f"{theirs}.ln_2",
            f"{block}.feed.0": f"{theirs}.mlp.linear_1",
            f"{block}.feed.3": f"{theirs}.mlp.linear_2",
        }
    for key, peer in names_.items():
        state |= {f"{peer}.{leaf}": own[f"{key}.{leaf}"] for leaf in ("weight", "bias")}
    found = translate(network, state)
    assert all(torch.equal(found[key], own[key]) for key in own)
