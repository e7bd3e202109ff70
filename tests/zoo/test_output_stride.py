"""Dilated forms of backbones: the features of the published network at every place, from the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.nn.init import meta_device
from pennyweight.verbs.weigh import weigh
from pennyweight.zoo import create
from pennyweight.zoo.weights.load import load_weights

# Without squeeze-and-excitation, which looks at the whole map: a denser map has another mean.
EXACT = {
    "mobilenet_v1_x0_25": {},
    "mobilenet_v2_x0_35": {},
    "efficientnet_b0": {"se": False, "width": 0.25},
    "resnet18": {"channels": 16},
    "resnet50": {"channels": 16, "blocks": [2, 2, 2, 2]},
    "resnext50_32x4d": {"channels": 16, "blocks": [2, 2, 2, 2]},
}
SQUEEZED = ("efficientnet_b0", "se_resnet50", "se_resnext50_32x4d")


def with_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """The network with norms that have seen something: untouched ones hide a shifted border."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.normal_(module.bias, std=0.1)
    return model


@pytest.mark.parametrize("output_stride", [8, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("sides", [(65, 47), pytest.param((64, 96), marks=pytest.mark.slow)])
def test_the_dilated_network_computes_the_same_and_what_lies_between(
    name: str, output_stride: int, sides: tuple[int, int]
) -> None:
    config = {"num_classes": 2, **EXACT[name]}
    published = with_statistics(create(name, **config)).eval()
    dilated = load_weights(create(name, output_stride=output_stride, **config), published.state_dict()).eval()
    x = torch.randn(1, 3, *sides)
    with torch.inference_mode():
        for usual, dense, stride in zip(
            published.features(x), dilated.features(x), published.feature_strides, strict=True
        ):
            step = max(1, stride // output_stride)
            torch.testing.assert_close(dense[:, :, ::step, ::step], usual, rtol=1e-4, atol=1e-4)
    assert dilated.feature_strides == tuple(min(stride, output_stride) for stride in published.feature_strides)
    assert [m.shape[2] for m in dilated.features(x)] == [-(-sides[0] // s) for s in dilated.feature_strides]


@pytest.mark.parametrize("output_stride", [8, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [SQUEEZED[0], *(pytest.param(name, marks=pytest.mark.slow) for name in SQUEEZED[1:])])
def test_squeeze_and_excitation_has_dilated_forms_too(name: str, output_stride: int) -> None:
    with meta_device():
        model = create(name, output_stride=output_stride)
    x = torch.empty(1, 3, 64, 64, device="meta")
    assert model.features(x)[-1].shape[2:] == (64 // output_stride,) * 2
    assert model(x).shape == (1, 1000)


def test_every_stride_of_the_network_will_do_and_the_published_one_changes_nothing() -> None:
    with meta_device():
        published = create("resnet50")
        assert repr(create("resnet50", output_stride=32)) == repr(published)
        assert create("resnet50", output_stride="4").feature_strides == (4, 4, 4, 4)
        assert create("resnet18", stem="cifar", output_stride=4).feature_strides == (1, 2, 4, 4)


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("resnet50", {"output_stride": 12}, "'output_stride' must be one of 4, 8, 16, 32, the strides"),
        ("resnet50", {"output_stride": 64}, "not 64"),
        ("resnet50", {"output_stride": 2}, "not 2"),
        ("resnet50", {"output_stride": 0}, "'output_stride' must be at least 1, not 0"),
        ("resnet50", {"output_stride": "small"}, "'output_stride' must be a whole number or none, not 'small'"),
        ("mobilenet_v2", {"output_stride": 16, "stem": "cifar"}, "one of 1, 2, 4, 8, the strides"),
        ("vgg11", {"output_stride": 8}, "'vgg11' has no output_stride: only MobileNetV1, MobileNetV2, EfficientNet, "),
        ("vit_ti_16", {"output_stride": 8}, "'vit_ti_16' has no output_stride: only MobileNetV1"),
        ("shufflenet_v2_x0_5", {"output_stride": 16}, "ResNet, ResNeXt have a dilated form"),
        ("resnet_9", {"output_stride": 4}, "'resnet_9' has no output_stride"),
        ("hybrid_sn", {"output_stride": 8}, "'hybrid_sn' has no output_stride"),
    ],
)
def test_what_has_no_such_form_is_refused(name: str, config: dict, said: str) -> None:
    with pytest.raises(InputError) as caught, meta_device():
        create(name, **config)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weigh_counts_the_denser_maps() -> None:
    usual, dense = weigh("resnet18"), weigh("resnet18", config={"output_stride": "8"})
    assert dense.params == usual.params
    # Its last two stages work on 28×28 in place of 14×14 and 7×7.
    macs = [
        [sum(row.macs for row in cost.layers if row.name.startswith(f"trunk.{s}.")) for s in range(4)]
        for cost in (usual, dense)
    ]
    assert [after / before for before, after in zip(*macs, strict=True)] == [1, 1, 4, 16]
    assert {row.output_shape[1:] for row in dense.layers if row.name.startswith("trunk.3.")} == {(28, 28)}


def test_files_of_weights_serve_both_forms_and_remember_theirs(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from pennyweight.core.preprocess import Preprocess
    from pennyweight.zoo import describe

    model = {"name": "resnet18", "num_classes": 2, "in_channels": 3, "stem": "imagenet", "config": {"output_stride": 8}}
    trained = create("resnet18", num_classes=2, output_stride=8)
    facts = describe(model=model, preprocess=Preprocess.for_input(32), labels=["a", "b"], data={})
    save_file(trained.state_dict(), tmp_path / "w.safetensors", metadata=facts)
    assert create("resnet18", num_classes=2, weights=tmp_path / "w.safetensors").feature_strides[-1] == 8
    usual = create("resnet18", num_classes=2, weights=tmp_path / "w.safetensors", output_stride=32)
    assert usual.feature_strides[-1] == 32
    assert load_weights(create("resnet18", num_classes=2), tmp_path / "w.safetensors").feature_strides[-1] == 32


@pytest.mark.peers
@pytest.mark.parametrize("output_stride", [8, 16])
def test_the_dilated_forms_are_those_of_timm_and_torchvision(output_stride: int) -> None:
    timm = pytest.importorskip("timm")
    torchvision = pytest.importorskip("torchvision")
    x = torch.randn(1, 3, 64, 64)
    replaced = [False, output_stride == 8, True]
    peers = {
        "resnet18": timm.create_model("resnet18", output_stride=output_stride),
        "resnet50": torchvision.models.resnet50(replace_stride_with_dilation=replaced),
        "mobilenet_v2": timm.create_model("mobilenetv2_100", output_stride=output_stride),
        "se_resnext50_32x4d": timm.create_model("seresnext50_32x4d", output_stride=output_stride),
        "efficientnet_b0": timm.create_model("efficientnet_b0", output_stride=output_stride),
    }
    for name, peer in peers.items():
        theirs = with_statistics(peer).eval()
        config = {"output_stride": output_stride}
        ours = load_weights(create(name, **config), theirs.state_dict()).eval()
        with torch.inference_mode():
            torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)
