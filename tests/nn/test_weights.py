"""Weights on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.nn import ConvNormAct, Style
from pennyweight.nn.weights import read_weights, save_weights, take_weights


def network(c_out: int = 4) -> nn.Module:
    return nn.Sequential(ConvNormAct(3, c_out, 3, style=Style()), ConvNormAct(c_out, 2, style=Style()))


def test_weights_and_running_statistics_come_back_bit_for_bit(tmp_path: Path) -> None:
    one, other = network(), network()
    one(torch.randn(4, 3, 8, 8))  # moves the running statistics
    path = tmp_path / "weights.safetensors"
    save_weights(path, one, {"epoch": "7"})
    take_weights(other, read_weights(path), name="x")
    before, after = one.state_dict(), other.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"epoch": "7"}
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_saving_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    one = network()
    one.train()
    save_weights(tmp_path / "a.safetensors", one, {})
    assert one.training
    assert all(parameter.requires_grad for parameter in one.parameters())


def test_channels_last_weights_are_kept_in_the_usual_order(tmp_path: Path) -> None:
    one = network()
    expected = {key: value.clone() for key, value in one.state_dict().items()}
    one.to(memory_format=torch.channels_last)
    save_weights(tmp_path / "a.safetensors", one, {})
    kept = read_weights(tmp_path / "a.safetensors")
    assert all(torch.equal(kept[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not weights at all, but text"),
        lambda path: path.mkdir(),
        lambda path: torch.save({}, path),
    ],
    ids=["missing", "empty", "text", "folder", "pickle"],
)
def test_a_file_without_weights_is_an_error_that_names_it(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "odd.safetensors"
    make(path)
    with pytest.raises(InputError, match=r"odd\.safetensors"):
        read_weights(path)


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    save_weights(path, network(), {})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"cut\.safetensors"):
        read_weights(path)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (lambda: network(8).state_dict(), "'0.0.weight'"),
        (dict, "'0.0.weight'"),
        (lambda: {**network().state_dict(), "more": torch.zeros(1)}, "1 of 13 keys differ, first 'more'"),
    ],
)
def test_another_networks_weights_are_refused_and_change_nothing(state: Callable[[], dict], said: str) -> None:
    one = network()
    before = {key: value.clone() for key, value in one.state_dict().items()}
    with pytest.raises(InputError) as caught:
        take_weights(one, state(), name="its file")
    assert "its file holds another network's weights" in str(caught.value)
    assert said in str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in one.state_dict().items())


class Versioned(nn.Linear):
    """As torchvision's MNASNet: what it loads has to say which version of the module it is of."""

    _version = 2

    def _load_from_state_dict(self, state: Any, prefix: str, local_metadata: Any, *others: Any) -> None:
        if local_metadata.get("version") != self._version:
            raise ValueError(f"version should be {self._version}, not {local_metadata.get('version')}")
        super()._load_from_state_dict(state, prefix, local_metadata, *others)


def test_modules_that_ask_for_their_version_take_weights() -> None:
    one, other = Versioned(3, 2), Versioned(3, 2)
    take_weights(other, dict(one.state_dict()), name="a file")
    assert torch.equal(one.weight, other.weight)


def test_equal_weights_give_equal_files(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    said = {name: name * 3 for name in ["a", "tag", "with", "seven", "words", "of", "metadata", "here"]}
    contents = set()
    for number in range(8):
        path = tmp_path / f"{number}.safetensors"
        save_weights(path, model, said)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    take_weights(model, read_weights(path), name="file")
