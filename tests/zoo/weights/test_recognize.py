"""Weights without a name are recognized by the names and shapes of their tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.nn import Network
from pennyweight.zoo.weights.checkpoint import open_file
from pennyweight.zoo.weights.load import load_weights
from pennyweight.zoo.weights.recognize import look_alike, recognize


@pytest.fixture(autouse=True, scope="module")
def sketched_once() -> Iterator[None]:
    """Each network that is compared is made once for all cases: nothing changes it."""
    made: dict[str, Network] = {}

    def sketch(name: str, **how: Any) -> Network:
        key = f"{name} {how}"
        if key not in made:
            made[key] = zoo.sketch(name, **how)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pennyweight.zoo.weights.recognize.sketch", sketch)
        yield


def state_of(name: str, **options: Any) -> dict[str, Tensor]:
    """Shapes without numbers are enough to be recognized."""
    how = {"num_classes": 1000, "in_channels": 3, "stem": None, "config": {}} | options
    made = zoo.sketch(name, **how).state_dict()
    return {key: torch.zeros(()).to(value.dtype).expand(value.shape) for key, value in made.items()}


def checkpoint(state: dict[str, Tensor]) -> zoo.Checkpoint:
    return zoo.Checkpoint(name="w.pth", state=state)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1_x0_25", {}),
        pytest.param("mobilenet_v2_x0_35", {"num_classes": 7}, marks=pytest.mark.slow),
        ("shufflenet_v2_x0_5", {"in_channels": 1, "num_classes": 2}),
        pytest.param("shufflenet_v1_g3_x1_0", {}, marks=pytest.mark.slow),
        pytest.param("resnet_9_x0_25", {"num_classes": 10}, marks=pytest.mark.slow),
        pytest.param("torchvision:squeezenet1_1", {"num_classes": 5}, marks=pytest.mark.slow),
    ],
)
def test_classes_and_channels_do_not_matter(name: str, options: dict[str, Any]) -> None:
    state = state_of(name, **options)
    assert recognize(checkpoint(state)).name == name
    assert recognize(checkpoint({f"state_dict.module.{key}": value for key, value in state.items()})).name == name


@pytest.mark.parametrize(
    ("theirs", "ours"), [("torchvision:resnet18", "resnet18"), ("timm:mobilenetv2_050", "mobilenet_v2_x0_5")]
)
def test_names_of_other_libraries_are_known(theirs: str, ours: str) -> None:
    assert recognize(checkpoint(state_of(theirs))).name == ours


def test_the_small_image_stem_is_seen() -> None:
    found = recognize(checkpoint(state_of("resnet18", stem="cifar", num_classes=10)))
    assert (found.name, found.stem) == ("resnet18", "cifar")
    assert recognize(checkpoint(state_of("resnet18"))).stem is None


def test_a_backbone_is_recognized() -> None:
    body = {key: value for key, value in state_of("mobilenet_v2").items() if not key.startswith("head.linear")}
    assert recognize(checkpoint(body)).name == "mobilenet_v2"


def test_what_is_like_nothing_is_said() -> None:
    with pytest.raises(InputError, match=r"w\.pth does not say which network it is for, .*: name it with --model"):
        recognize(checkpoint({"weight": torch.zeros(4, 3), "bias": torch.zeros(4)}))
    with pytest.raises(InputError, match=r"it has the names of mobilenet_v1_x0_25, in another width"):
        recognize(checkpoint(state_of("mobilenet_v1", config={"width": 0.3})))


def test_the_line_about_a_misfit_names_the_network_that_is_meant() -> None:
    """Also where the keys fit, and only the widths do not."""
    state = state_of("mobilenet_v1_x0_25", num_classes=5)
    for name in ("mobilenet_v2", "mobilenet_v1_x0_5"):
        network = zoo.sketch(name, num_classes=5, in_channels=3, stem=None, config={})
        with pytest.raises(InputError, match="names and shapes of mobilenet_v1_x0_25: try --model mobilenet_v1_x0_25"):
            load_weights(network, state)
    network = zoo.sketch("resnet18", num_classes=5, in_channels=3, stem=None, config={})
    with pytest.raises(InputError, match="try --model resnet18 --stem cifar"):
        load_weights(network, state_of("resnet18", stem="cifar"))


def test_no_field_is_blamed_that_nobody_set(tmp_path: Path) -> None:
    """The file's metadata speak of padding, which the other family does not have."""
    file = tmp_path / "w.safetensors"
    state = {key: value.contiguous() for key, value in state_of("mobilenet_v1_x0_25").items()}
    save_file(state, file, metadata={"padding": "tf_same", "config": '{"first": 8}'})
    for name in ("vit_ti_16", "shufflenet_v2_x0_5", "timm:test_resnet"):
        for use in (zoo.create, zoo.open_pretrained):
            with pytest.raises(InputError, match="try --model mobilenet_v1_x0_25") as caught:
                use(name, weights=file)
            assert "padding" not in str(caught.value)
            assert "first" not in str(caught.value).partition("first missing")[0]


def test_real_files_are_recognized() -> None:
    root = os.environ.get("PENNYWEIGHT_DATA")
    if not root or not (Path(root) / "weights").is_dir():
        pytest.skip("PENNYWEIGHT_DATA names no folder with published weights")
    for file in (Path(root) / "weights").iterdir():
        found = look_alike(open_file(file))
        assert found is not None
        assert found.name == file.name.partition("-")[0]


def test_a_set_that_is_not_there_is_no_unknown_network(tmp_path: Path) -> None:
    torch.save({"state_dict": zoo.create("mobilenet_v1_x0_25").state_dict()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth has no set 'nope'; there are state_dict"):
        recognize(open_file(Path(f"{tmp_path / 'w.pth'}#nope")))
