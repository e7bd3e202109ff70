"""Networks of torchvision and timm serve wherever a name of ours does."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from pennyweight import zoo
from pennyweight.core.errors import DownloadError, InputError
from pennyweight.train.linear_probe import find_last_linear
from pennyweight.verbs.weigh import weigh
from pennyweight.zoo import from_torchvision, open_checkpoint
from pennyweight.zoo.weights.load import AdaptedWeights, shape_of

SMALL = ["torchvision:squeezenet1_1", "timm:test_resnet"]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("channels", [3, 1, 5])
def test_any_classes_and_any_channels(name: str, channels: int) -> None:
    network = zoo.create(name, num_classes=7, in_channels=channels).eval()
    assert network(torch.randn(2, channels, 96, 96)).shape == (2, 7)


@pytest.mark.parametrize("name", SMALL)
def test_they_are_weighed_as_they_are_published(name: str) -> None:
    cost = weigh(name)
    assert cost.params == sum(parameter.numel() for parameter in zoo.create(name).parameters())
    assert cost.macs > 0
    assert cost.uncounted == {}


def test_torchvisions_counts_are_its_own() -> None:
    assert weigh("torchvision:resnet18").macs == weigh("resnet18").macs == 1_814_073_344
    # Its constructor computes with its numbers, which the meta device has none of.
    assert weigh("torchvision:regnet_y_400mf").params == 4_344_144


def test_names_are_listed_by_library() -> None:
    assert "torchvision:resnet18" in zoo.names("torchvision:res*")
    assert "timm:resnet18" in zoo.names("timm:resnet18*")
    assert not any(":" in name for name in zoo.names())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet19", "torchvision has no classifier 'resnet19'; did you mean 'resnet1"),
        ("torchvision:fcn_resnet50", "torchvision has no classifier"),
        ("timm:resnet18.bogus", "'resnet18' has no weights 'bogus'; timm has"),
        ("timm:mobilnetv2_100", "timm has no classifier 'mobilnetv2_100'; did you mean 'mobilenetv2_100'"),
        ("keras:resnet50", "unknown library 'keras' in 'keras:resnet50'; there are torchvision, timm"),
        ("torchvison:resnet50", "did you mean 'torchvision'"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        zoo.create(name)


def test_what_a_library_does_not_take_is_said_in_a_line() -> None:
    with pytest.raises(InputError, match=r"torchvision cannot make 'resnet18' with .*colour") as caught:
        zoo.create("torchvision:resnet18", colour="red")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="has no stem 'cifar'"):
        zoo.create("torchvision:resnet18", stem="cifar")


def test_settings_are_the_librarys_own() -> None:
    assert zoo.settle("torchvision:vit_b_16", {"dropout": "0.5", "image_size": "64"}, size=32) == {
        "image_size": 64,
        "dropout": 0.5,
    }
    assert zoo.settle("timm:vit_tiny_patch16_224", {}, size=64) == {"img_size": 64}
    assert zoo.settle("timm:resnet18", {"act_layer": "silu"}, size=64) == {"act_layer": "silu"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [SMALL[0], *(pytest.param(name, marks=pytest.mark.slow) for name in SMALL[1:])])
def test_weights_of_their_own_names_fit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = zoo.create(name, num_classes=6).eval()
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    x = torch.randn(1, 3, 96, 96)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = zoo.create(name, num_classes=6, weights=tmp_path / "w.pth").eval()
    assert torch.equal(trained(x), again(x))
    with pytest.warns(AdaptedWeights, match="head is new, because 6 classes became 4"):
        zoo.create(name, num_classes=4, weights=tmp_path / "w.pth")
    with pytest.warns(AdaptedWeights, match="adapted to 1 input channels"):
        grey = zoo.create(name, num_classes=6, in_channels=1, weights=tmp_path / "w.pth").eval()
    one = torch.randn(1, 1, 96, 96)
    torch.testing.assert_close(grey(one), trained(one.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match=r"holds another network's weights: .* keys are missing"):
        zoo.create("torchvision:resnet18", weights=tmp_path / "w.pth")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "now", "was"),
    [
        ("googlenet", {"init_weights": False, "aux_logits": True}, "", ""),
        ("inception_v3", {"init_weights": False, "aux_logits": True}, "", ""),
        ("densenet121", {}, ".norm1.", ".norm.1."),
        ("vit_b_16", {}, ".mlp.0.", ".mlp.linear_1."),
    ],
)
def test_torchvisions_older_files_are_read(
    name: str, settings: dict[str, bool], now: str, was: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files as they are published: with auxiliary classifiers, and under names that the code no longer has."""
    theirs: nn.Module = models.get_model(name, **settings)
    torch.save({key.replace(now, was): value for key, value in theirs.state_dict().items()}, tmp_path / "w.pth")
    monkeypatch.setattr(from_torchvision, "fetch", lambda url, path, checksum: tmp_path / "w.pth")
    checkpoint = open_checkpoint("IMAGENET1K_V1", f"torchvision:{name}")
    assert checkpoint.labels is not None
    assert checkpoint.preprocess is not None
    ours = zoo.create(f"torchvision:{name}", **checkpoint.config)
    assert zoo.put_weights(ours, checkpoint) == ()
    if "transform_input" in checkpoint.config:  # as torchvision does where weights are asked for
        theirs.transform_input = True
    theirs.eval()
    ours.eval()
    x = torch.randn(1, 3, checkpoint.preprocess.size, checkpoint.preprocess.size)
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("timm:resnet18", {"act_layer": "odd"}, r"KeyError 'odd'$"),
        ("timm:resnet18", {"output_stride": 7}, "AssertionError$"),
        ("timm:vit_tiny_patch16_224", {"global_pool": "odd"}, "AssertionError Only avg"),
        ("torchvision:vit_b_16", {"image_size": 7}, "AssertionError Input shape"),
        ("torchvision:resnet18", {"norm_layer": 3}, "'int' object is not callable$"),
    ],
)
@pytest.mark.parametrize("make", [zoo.build, zoo.sketch])
def test_a_config_that_a_library_cannot_use_is_one_line(
    make: Callable[..., nn.Module], name: str, config: dict[str, Any], said: str
) -> None:
    library, _, theirs = name.partition(":")
    with pytest.raises(InputError, match=f"^{library} cannot make '{theirs}' with .*: {said}"):
        make(name, num_classes=None, in_channels=3, stem=None, config=config)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
@pytest.mark.parametrize(
    "read", [lambda x: x.item(), lambda x: float(x), lambda x: x.numpy(), lambda x: nn.Linear(1, 1).to("cpu")]
)
def test_a_network_that_reads_numbers_while_it_is_made_is_sketched(
    monkeypatch: pytest.MonkeyPatch, library: str, read: Callable[[torch.Tensor], object]
) -> None:
    room: Any = import_module(library) if library == "timm" else models
    constructor = "create_model" if library == "timm" else "get_model"
    make = getattr(room, constructor)

    def reads(*arguments: Any, **options: Any) -> nn.Module:
        read(torch.linspace(0, 0.1, 3).sum())
        network: nn.Module = make(*arguments, **options)
        return network

    monkeypatch.setattr(room, constructor, reads)
    how: dict[str, Any] = {"num_classes": 10, "in_channels": 3, "stem": None, "config": {}}
    sketched = zoo.sketch(f"{library}:resnet18", **how)
    assert {parameter.device.type for parameter in sketched.parameters()} == {"meta"}


def test_what_a_library_has_not_implemented_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **settings: object) -> nn.Module:
        raise NotImplementedError

    monkeypatch.setattr("timm.create_model", refuse)
    for make in (zoo.build, zoo.sketch):
        with pytest.raises(InputError, match=r"^timm cannot make 'resnet18' with \{\}: NotImplementedError$"):
            make("timm:resnet18", num_classes=10, in_channels=3, stem=None, config={})


@pytest.mark.parametrize(
    ("name", "given", "there"),
    [
        ("torchvision:resnet50", "V1", r"there are imagenet, IMAGENET1K_V2, IMAGENET1K_V1$"),
        ("torchvision:resnet50", "Imagenet", r"did you mean 'imagenet'\?$"),
        ("torchvision:resnet50", "imagenet1k_v1", r"did you mean 'IMAGENET1K_V1'\?$"),
        ("timm:resnet50", "nothing", "there are imagenet, .*a1_in1k"),
        ("timm:resnet50", "A1_in1k", r"did you mean 'a1_in1k'\?$"),
        ("mobilenet_v2", "imagenet1k", r"did you mean 'imagenet'\?$"),
        ("mobilenet_v2", "none", r"there are imagenet, IMAGENET1K_V1, IMAGENET1K_V2$"),
    ],
)
def test_unknown_tags_name_the_nearest_or_what_there_is(name: str, given: str, there: str) -> None:
    with pytest.raises(InputError, match=f"^'{name}' has no weights '{given}'; {there}"):
        zoo.create(name, weights=given)


def test_timms_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def refuse(name: str, **settings: object) -> nn.Module:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(DownloadError, match=r"timm cannot fetch .*no route to host; .*--weights FILE") as caught:
        open_checkpoint("imagenet", "timm:resnet18")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [3, 1])
def test_networks_with_two_heads_have_both_fitted(channels: int, tmp_path: Path) -> None:
    """What is in the trunk is kept, and both heads are new; the second stands for distillation."""
    name, small = "timm:deit_tiny_distilled_patch16_224", {"img_size": 32, "depth": 1}
    torch.manual_seed(0)
    trained = zoo.create(name, **small)
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    with pytest.warns(AdaptedWeights) as said:
        network = zoo.create(name, num_classes=7, in_channels=channels, weights=tmp_path / "w.pth", **small)
    lines = [str(warning.message) for warning in said]
    assert lines[-1] == "w.pth: the head is new, because 1000 classes became 7"
    assert len(lines) == (1 if channels == 3 else 2)
    assert network.eval()(torch.zeros(1, channels, 32, 32)).shape == (1, 7)
    assert torch.equal(
        network.state_dict()["blocks.0.attn.qkv.weight"], trained.state_dict()["blocks.0.attn.qkv.weight"]
    )
    with pytest.raises(InputError, match=r"has 2 heads \(head, head_dist\), none of which can be trained alone"):
        find_last_linear(network)


def test_weights_of_a_backbone_get_a_head(tmp_path: Path) -> None:
    """dinov2 is published without a head: it can be trained further, and names nothing."""
    import timm

    small = {"img_size": 28, "depth": 1}
    backbone = timm.create_model("vit_small_patch14_dinov2", num_classes=0, **small)
    torch.save(backbone.state_dict(), tmp_path / "w.pth")
    with pytest.warns(AdaptedWeights, match=r"w\.pth: the head is new, because there is none"):
        network = zoo.create("timm:vit_small_patch14_dinov2", num_classes=3, weights=tmp_path / "w.pth", **small)
    x = torch.randn(1, 3, 28, 28)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval().forward_features(x), backbone.eval().forward_features(x))
    checkpoint = zoo.Checkpoint(name="w.pth", state=backbone.state_dict())
    with pytest.raises(InputError, match=r"w\.pth has no head, so it names nothing; `fit --weights` trains one"):
        shape_of(network, checkpoint)


def test_an_encoder_without_a_head_is_no_classifier() -> None:
    with pytest.raises(InputError, match="timm's 'qwen3_vit_88m_enc' is not a classifier"):
        zoo.sketch("timm:qwen3_vit_88m_enc", num_classes=3, in_channels=3, stem=None, config={})


@pytest.mark.parametrize(
    ("name", "of", "size", "answers"),
    [
        ("timm:vit_tiny_patch16_224", "img_size", 64, 1000),
        ("timm:vit_small_patch14_reg4_dinov2", "img_size", 56, 384),
        ("torchvision:vit_b_16", "image_size", 64, 1000),
    ],
)
@pytest.mark.slow
def test_positions_fit_another_input_size(name: str, of: str, size: int, answers: int, tmp_path: Path) -> None:
    torch.save(zoo.create(name, **{of: 2 * size}).state_dict(), tmp_path / "w.pth")
    with pytest.warns(AdaptedWeights, match=r"(8×8) patches became 4×4"):
        network = zoo.create(name, weights=tmp_path / "w.pth", **{of: size})
    assert network.eval()(torch.zeros(1, 3, size, size)).shape == (1, answers)
