"""`weigh` takes a name or a module."""

import pytest
from torch import nn

import pennyweight as pw
from pennyweight.core.errors import InputError


def test_a_name_brings_its_published_input() -> None:
    cost = pw.weigh("mobilenet_v1")
    assert (cost.params, cost.macs) == (4_231_976, 568_740_352)
    assert cost.input_shape == (3, 224, 224)


def test_input_stem_and_config_change_it() -> None:
    small = pw.weigh("mobilenet_v2", (1, 32, 32), stem="cifar", config={"width": "0.5"})
    assert small.input_shape == (1, 32, 32)
    assert small.params < pw.weigh("mobilenet_v2").params
    network = pw.create("mobilenet_v2", in_channels=1, stem="cifar", width=0.5).eval()
    assert small == pw.weigh(network, [1, 32, 32])


def test_a_module_of_ones_own() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    cost = pw.weigh(network, (3, 2, 2), batch=4)
    assert (cost.params, cost.macs, cost.batch) == (65, 240, 4)


def test_what_cannot_be_weighed() -> None:
    with pytest.raises(InputError, match="needs its input shape"):
        pw.weigh(nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"did you mean 'mobilenet_v2'\?"):
        pw.weigh("mobilenetv2")
    with pytest.raises(InputError, match=r"not tuple \(3, 0, 224\)"):
        pw.weigh("mobilenet_v2", (3, 0, 224))
    with pytest.raises(InputError, match="a stem or Config is for networks by name, not for a Linear"):
        pw.weigh(nn.Linear(2, 2), (2,), config={"width": 0.5})
