"""Weights from files and addresses: used as they ask, fitted where they must be, refused where they cannot be."""

from __future__ import annotations

import json
import os
import pickle
import random
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.zoo.weights.load import AdaptedWeights, load_weights, open_file
from pennyweight.zoo.weights.published import PUBLISHED, published

NAME = "mobilenet_v1_x0_25"


def kept(path: Path, metadata: dict[str, str] | None = None, **options: object) -> torch.nn.Module:
    """A network whose weights were written to `path`."""
    torch.manual_seed(3)
    model = zoo.create(NAME, **{"num_classes": 5, **options})
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path, metadata=metadata)
    return model.eval()


def test_a_file_says_how_it_wants_to_be_used(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    said = {"activation": "leaky_relu_0.1", "padding": "tf_same", "bn_eps": "0.001", "input": "160", "mean": "0.5"}
    model = kept(
        file,
        said | {"std": "0.5", "layout": "pennyweight", "labels": json.dumps(list("abcde"))},
        activation="leaky_relu_0.1",
        padding="tf_same",
        bn_eps=0.001,
    )
    again = zoo.create(NAME, num_classes=5, weights=file).eval()
    x = torch.randn(2, 3, 33, 32)
    assert torch.equal(model(x), again(x))
    assert not torch.equal(model(x), zoo.create(NAME, num_classes=5, weights=file, activation="relu").eval()(x))
    checkpoint = open_file(file)
    assert checkpoint.labels == tuple("abcde")
    assert checkpoint.preprocess == Preprocess(size=160, resize=183, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_a_network_that_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    """Its answers would be wrong without a word: the keys fit."""
    file = tmp_path / "w.safetensors"
    kept(file, {"padding": "tf_same", "activation": "relu6"}, padding="tf_same", activation="relu6")
    plain = zoo.create(NAME, num_classes=5)
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    with pytest.raises(
        InputError, match=r"w\.safetensors wants (padding=tf_same|activation=relu6), and this network has"
    ):
        load_weights(plain, file)
    assert all(torch.equal(value, before[key]) for key, value in plain.state_dict().items())
    load_weights(zoo.create(NAME, num_classes=5, padding="tf_same", activation="relu6"), file)


def test_the_usual_padding_and_the_stem_are_heeded_too(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    kept(file, {"padding": "same", "stem": "imagenet"})
    with pytest.raises(InputError, match="wants padding=same, and this network has tf_same"):
        load_weights(zoo.create(NAME, num_classes=5, padding="tf_same"), file)
    with pytest.raises(InputError, match="is for the stem 'imagenet', and this network has 'cifar'"):
        load_weights(zoo.create(NAME, num_classes=5, stem="cifar"), file)
    load_weights(zoo.create(NAME, num_classes=5), file)


def test_a_mean_without_an_input_is_heeded(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    kept(file, {"mean": "0.5", "std": "0.25"})
    preprocess = zoo.open_pretrained(NAME, file).preprocess
    assert (preprocess.size, preprocess.mean, preprocess.std) == (224, (0.5,) * 3, (0.25,) * 3)


def test_what_cannot_be_made_is_said_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.zoo.pretrained.fetch", lambda *args, **more: pytest.fail("it was fetched"))
    for wrong in ({"widht": 0.5}, {"stem": "cifr"}, {"num_classes": -1}, {"width": 0}):
        with pytest.raises(InputError):
            zoo.create("mobilenet_v2", weights="imagenet", **wrong)


def test_weights_that_ask_for_another_family_are_another_networks(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    kept(file, {"padding": "tf_same"}, padding="tf_same")
    with pytest.raises(InputError, match=r"another network's weights, .* keys are missing"):
        zoo.create("vit_ti_16", weights=file)


@pytest.mark.parametrize(
    "said",
    [
        {"labels": "5"},
        {"labels": '"abc"'},
        {"labels": '{"a": 1}'},
        {"labels": "[1]"},
        {"config": "[]"},
        {"layout": "keras"},
        {"input": "many"},
        {"input": "32", "channels": "1", "mean": "0.5,0.5"},
    ],
)
def test_metadata_that_cannot_be_used_is_named(tmp_path: Path, said: dict[str, str]) -> None:
    file = tmp_path / "w.safetensors"
    kept(file, said)
    with pytest.raises(InputError, match=r"w\.safetensors has metadata that cannot be used") as caught:
        open_file(file)
    assert "\n" not in str(caught.value)


def test_one_mean_stands_for_all_channels(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    for channels in (1, 3):
        kept(file, {"input": "32", "channels": str(channels), "mean": "0.5", "std": "0.25"})
        preprocess = open_file(file).preprocess
        assert preprocess is not None
        assert (preprocess.mean, preprocess.std) == ((0.5,) * channels, (0.25,) * channels)


def test_other_classes_keep_the_trunk_and_say_that_the_head_is_new(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    model = kept(file)
    with pytest.warns(AdaptedWeights, match="head is new, because 5 classes became 7"):
        other = zoo.create(NAME, num_classes=7, weights=file).eval()
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(model.features(x)[-1], other.features(x)[-1])
    assert other(x).shape == (1, 7)


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_other_channels_fit_the_stem_and_say_so(tmp_path: Path, channels: int) -> None:
    file = tmp_path / "w.safetensors"
    model = kept(file)
    with pytest.warns(AdaptedWeights, match=f"adapted to {channels} input channels"):
        other = zoo.create(NAME, num_classes=5, in_channels=channels, weights=file).eval()
    grey = torch.randn(1, 1, 32, 32)
    # The same grey picture in every channel gives the same answer, where the channels repeat evenly.
    if channels != 4:
        expected, found = model(grey.expand(-1, 3, -1, -1)), other(grey.expand(-1, channels, -1, -1))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


class Canary:
    """Unpickled by a loader that runs code, it leaves a folder behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    canary, file = tmp_path / "canary", tmp_path / "w.pth"
    model = zoo.create(NAME, num_classes=5)
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        write({"state_dict": Canary(canary)}, file)
        with pytest.raises(InputError, match=r"w\.pth.*nothing in it was run") as caught:
            load_weights(model, file)
        assert "\n" not in str(caught.value)
        assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))  # the canary does sing
    assert canary.exists()


def test_another_networks_weights_are_refused_and_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    kept(file)
    for name in ("mobilenet_v2", "mobilenet_v1"):
        model = zoo.create(name, num_classes=5)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        with pytest.raises(InputError, match=r"w\.safetensors holds .* of \d+") as caught:
            load_weights(model, file)
        assert "\n" not in str(caught.value)
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_damaged_pickles_are_one_line(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(6.0), "name": torch.ones(2)}, tmp_path / "whole.pth")
    whole = bytearray((tmp_path / "whole.pth").read_bytes())
    draw = random.Random(0)
    refused = []
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        (tmp_path / "w.pth").write_bytes(damaged)
        try:
            open_file(tmp_path / "w.pth")
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in line for line in refused)


@pytest.mark.parametrize("state", [{0: torch.ones(1)}, {"w": 3}, [torch.ones(1)]])
def test_what_is_no_state_dict_is_said(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        open_file(tmp_path / "w.pth")
    if isinstance(state, dict):
        with pytest.raises(InputError, match="holds no state dict"):
            load_weights(zoo.create(NAME), state)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 64])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_what_holds_no_weights_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        load_weights(zoo.create(NAME), tmp_path / name)
    assert "\n" not in str(caught.value)


def test_unknown_weights_name_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are imagenet, IMAGENET1K_V1, IMAGENET1K_V2"):
        zoo.create("mobilenet_v2", weights="elsewhere")
    with pytest.raises(InputError, match="no published weights for 'hybrid_sn'"):
        zoo.create("hybrid_sn", in_channels=30, weights="imagenet")
    with pytest.raises(InputError, match="there is no such file"):
        zoo.create("mobilenet_v2", weights=tmp_path / "gone.pth")


def test_published_rows_are_torchvisions_own() -> None:
    """Address, checksum, preprocessing and accuracy of every row, against the metadata that torchvision carries."""
    from torchvision.models import get_model_weights

    for name, rows in PUBLISHED.items():
        theirs = {weights.name: weights for weights in get_model_weights(name)}
        for tag, row in rows.items():
            transforms = theirs[tag].transforms()
            assert row.url == theirs[tag].url
            assert [row.size] == transforms.crop_size
            assert [row.resize] == transforms.resize_size
            assert row.interpolation == transforms.interpolation.value
            assert row.preprocess.mean == tuple(transforms.mean)
            assert row.preprocess.std == tuple(transforms.std)
            assert row.top1 == pytest.approx(theirs[tag].meta["_metrics"]["ImageNet-1K"]["acc@1"], abs=0.051)
            assert len(row.checksum) >= len("sha256:") + 8
        assert published(name, "imagenet").top1 == max(row.top1 for row in rows.values())


def test_nothing_is_said_where_all_fits(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    kept(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zoo.create(NAME, num_classes=5, weights=file)
