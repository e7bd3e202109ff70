"""Every network for pictures takes a rectangle: forward, backward, counted, with positions of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.zoo.registry import FAMILIES
from pennyweight.zoo.weights.load import AdaptedWeights, load_weights
from pennyweight.zoo.weights.positions import resample

SMALL = {"d": 24, "heads": 3, "hidden": 48, "blocks": 4}
OF_PICTURES = [
    next(iter(family.variants)) for family in FAMILIES if next(iter(family.variants.values())).input_shape[0] <= 4
]
# Two blocks or so of a family: each layer costs time when it is made and trained.
SHALLOW: dict[str, dict[str, object]] = {
    "mobilenet_v1_x0_25": {"stages": [[64, 1, 1], [128, 2, 2]]},
    "mobilenet_v2_x0_35": {"stages": [[1, 16, 1, 1, 1], [6, 24, 2, 2, 1]]},
    "shufflenet_v1_g1_x0_25": {"blocks": [2, 2, 2]},
    "shufflenet_v2_x0_5": {"blocks": [2, 2, 2]},
    "efficientnet_b0": {"stages": [[1, 3, 16, 1, 1, 1], [6, 5, 24, 2, 2, 1]]},
    "resnet18": {"channels": 16, "blocks": [2, 1, 1, 2]},
    "resnext50_32x4d": {"blocks": [1, 1, 2]},
    "vgg11": {"channels": [16, 32, 64, 64, 64]},
    "vit_ti_16": SMALL,
}
SIDES = {"imagenet": (32, 128), "cifar": (32, 64)}


# Each stem has one direction in the default set, and the other in the slow one.
FORMS = [
    pytest.param("imagenet", False, id="imagenet"),
    pytest.param("cifar", True, id="cifar upright"),
    pytest.param("imagenet", True, id="imagenet upright", marks=pytest.mark.slow),
    pytest.param("cifar", False, id="cifar", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", OF_PICTURES)
@pytest.mark.parametrize(("stem", "upright"), FORMS)
def test_a_network_learns_from_rectangles(name: str, stem: str, upright: bool) -> None:
    size = SIDES[stem][::-1] if upright else SIDES[stem]
    hidden = {"hidden": 64} if name.startswith("vgg") and stem == "imagenet" else {}
    config = zoo.settle(name, SHALLOW.get(name, {}) | hidden, size=size)
    torch.manual_seed(0)
    network = zoo.build(name, num_classes=3, in_channels=3, stem=stem, config=config)
    x = torch.randn(2, 3, *size)
    logits = network(x)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    last = network.eval().features(x)[-1]
    assert last.ndim == 4
    assert (last.shape[2] > last.shape[3]) == upright


def test_positions_become_a_rectangle_and_back() -> None:
    trained = zoo.create("vit_ti_16", size=80, **SMALL)
    with pytest.warns(AdaptedWeights, match="positions were interpolated, because 5×5 patches became 2×8"):
        wide = load_weights(zoo.create("vit_ti_16", size=(32, 128), **SMALL), trained.state_dict())
    assert torch.equal(wide.stem.positions, resample(trained.stem.positions, (2, 8)))
    with pytest.warns(AdaptedWeights, match="taken for those of 2×8 patches: the weights do not say their shape"):
        again = load_weights(zoo.create("vit_ti_16", size=(32, 128), **SMALL), wide.state_dict())  # 4×4 have as many
    assert torch.equal(again.stem.positions, wide.stem.positions)
    assert wide.eval()(torch.zeros(1, 3, 32, 128)).shape == (1, 1000)
    with pytest.raises(InputError, match="this ViT takes 32×128 pixels, received 128×32"):
        wide(torch.zeros(1, 3, 128, 32))


def test_positions_of_a_rectangle_are_known_by_its_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from pennyweight.core.preprocess import Preprocess

    trained = zoo.create("vit_ti_16", size=(32, 128), **SMALL)
    model = {"name": "vit_ti_16", "num_classes": 1000, "stem": "imagenet", "config": {"size": (32, 128), **SMALL}}
    facts = zoo.describe(model=model, preprocess=Preprocess.for_input((32, 128)), labels=["a"], data={})
    save_file(trained.state_dict(), tmp_path / "w.safetensors", metadata=facts)
    with pytest.warns(AdaptedWeights, match="because 2×8 patches became 8×2"):
        tall = zoo.create("vit_ti_16", weights=tmp_path / "w.safetensors", size=(128, 32))
    expected = resample(trained.stem.positions, (8, 2), before=(2, 8))  # as many: only their places differ
    assert torch.equal(tall.stem.positions, expected)
    same = zoo.create("vit_ti_16", weights=tmp_path / "w.safetensors")
    assert torch.equal(same.stem.positions, trained.stem.positions)


def test_sides_that_patches_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match=r"not divisible by the patches of 16; 32x96 is$"):
        zoo.create("vit_ti_16", size=(32, 100))


def test_a_library_of_squares_says_what_takes_rectangles() -> None:
    with pytest.raises(InputError, match="'vit_b_16' takes square inputs, not 96×384; give it 192 and the frame pad"):
        zoo.settle("torchvision:vit_b_16", {}, size=(96, 384))
    assert zoo.settle("torchvision:maxvit_t", {}, size=(224, 448)) == {"input_size": (224, 448)}
    assert zoo.settle("torchvision:resnet18", {}, size=(96, 384)) == {}
