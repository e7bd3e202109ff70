"""Networks by name."""

import json

import pytest
import torch

from pennyweight.core.errors import InputError
from pennyweight.cost import count
from pennyweight.zoo import build, create, names, variant


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("mobilenet_v1", ["mobilenet_v1"]),
        ("mobilenet_v1_x0*5", ["mobilenet_v1_x0_25", "mobilenet_v1_x0_5", "mobilenet_v1_x0_75"]),
        ("mobilenet_v2_x?_4", ["mobilenet_v2_x1_4"]),
        ("MOBILENET*", []),
        ("", []),
    ],
)
def test_names_are_matched_as_in_a_shell(pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected


@pytest.mark.parametrize("ask", [create, variant])
def test_an_unknown_name_is_refused_with_the_nearest(ask) -> None:
    with pytest.raises(InputError, match=r"^unknown network 'mobilnet_v2'; did you mean 'mobilenet_v2'\?$"):
        ask("mobilnet_v2")
    with pytest.raises(InputError, match="unknown network 'zzz'; `pennyweight names` lists them"):
        ask("zzz")


def test_fields_of_the_config_are_changed_by_name() -> None:
    half = count(create("mobilenet_v2", width=0.5), (3, 224, 224))
    row = variant("mobilenet_v2_x0_5")
    assert (half.params, half.macs) == (row.params, row.macs)
    assert create("mobilenet_v1", dropout="0.25").head.dropout.p == 0.25


def test_a_network_comes_back_from_what_json_keeps() -> None:
    stages = [[16, 1, 1], [32, 2, 2]]
    kept = json.loads(json.dumps({"width": 0.5, "activation": "relu6", "stages": stages}))
    again = build("mobilenet_v1", num_classes=4, in_channels=1, stem="cifar", config=kept)
    ours = create("mobilenet_v1", num_classes=4, in_channels=1, stem="cifar", **kept)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in ours.state_dict().items()}
    assert [len(stage) for stage in again.trunk] == [1, 2]
    assert again.eval()(torch.zeros(1, 1, 8, 8)).shape == (1, 4)


def test_a_config_field_never_stands_for_another_argument() -> None:
    with pytest.raises(InputError, match="unknown Config field 'num_classes'"):
        build("mobilenet_v1", num_classes=4, in_channels=3, stem="cifar", config={"num_classes": 5})


def test_two_networks_of_one_name_start_different() -> None:
    torch.manual_seed(0)
    one, other = create("mobilenet_v1_x0_25"), create("mobilenet_v1_x0_25")
    assert not torch.equal(one.head.linear.weight, other.head.linear.weight)
    torch.manual_seed(0)
    assert torch.equal(one.head.linear.weight, create("mobilenet_v1_x0_25").head.linear.weight)
