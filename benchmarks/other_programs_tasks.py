"""Tasks that take a network as a part, for `other_programs.py`: detection, segmentation, attribution and pruning.

Each check takes the name of a network, the network in eval mode and its input, and raises an error if it fails.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from other_programs_networks import make, sample
from pennyweight import zoo
from pennyweight.nn.ends import ends


class ListNamed(nn.Module):
    """Backbone of timm, whose list of maps gets names."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, self.network(x)[-len(self.names) :], strict=True))


def backbone(name: str, outputs: Sequence[str], **options: Any) -> tuple[nn.Module, list[int]]:
    """Return a network that gives its last stages under the names of `outputs`, and their channels."""
    from torchvision.models.feature_extraction import create_feature_extractor

    if name.startswith("timm:"):
        body: nn.Module = ListNamed(zoo.create(name, features_only=True, **options), outputs)
    else:
        network = make(name, num_classes=0, **options)
        stages = [node for node, _ in network.named_children() if node.startswith(("layer", "stage"))]
        inside = "trunk" if ":" not in name else "features"
        stages = stages or [f"{inside}.{node}" for node, _ in network.get_submodule(inside).named_children()]
        body = create_feature_extractor(network, dict(zip(stages[-len(outputs) :], outputs, strict=True)))
    return body, [features.shape[1] for features in body.eval()(sample(name)).values()]


def detecting(name: str, model: nn.Module, x: Tensor) -> None:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

    body, channels = backbone(name, ("0", "1"))
    pyramid = nn.Sequential(body, FeaturePyramidNetwork(channels, 32))
    pyramid.out_channels = 32  # type: ignore[assignment]
    detector = FasterRCNN(
        pyramid,
        num_classes=3,
        min_size=64,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,)), ((1.0,),) * 2),
        box_roi_pool=MultiScaleRoIAlign(["0", "1"], 7, 2),
    )
    truth = [{"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}]
    with torch.enable_grad():
        losses = detector.train()([torch.rand(3, 64, 96)], truth)
        sum(losses.values()).backward()


def segmenting(name: str, model: nn.Module, x: Tensor) -> None:
    from torchvision.models.segmentation import DeepLabV3
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead

    dilated = {"replace_stride_with_dilation": (False, True, True)} if "torchvision" in name else {"output_stride": 8}
    body, channels = backbone(name, ("out",), **dilated)
    stride = x.shape[2] // body(x)["out"].shape[2]
    assert stride == 8, f"the option is accepted, and the output stride is {stride}"
    with torch.enable_grad():
        found = DeepLabV3(body, DeepLabHead(channels[-1], 3)).train()(x)["out"]
        found.sum().backward()
    assert found.shape == (len(x), 3, *x.shape[2:])


def attributed(name: str, model: nn.Module, x: Tensor) -> None:
    from captum.attr import IntegratedGradients

    with torch.enable_grad():
        found = IntegratedGradients(model).attribute(x, target=1, n_steps=2)
    assert found.shape == x.shape


def pruned(name: str, model: nn.Module, x: Tensor) -> None:
    import torch_pruning

    head = model.get_submodule(ends(model).heads[0])
    options = {"pruning_ratio": 0.5, "ignored_layers": [head]}
    with torch.enable_grad():
        importance = torch_pruning.importance.MagnitudeImportance(p=2)
        torch_pruning.pruner.MagnitudePruner(model, x[:1], importance=importance, **options).step()
        model.train()(x).sum().backward()
