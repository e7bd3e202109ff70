"""A count leaves the model and the random state as they were, and allocates nothing."""

from __future__ import annotations

import copy
import resource

import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.cost import count
from pennyweight.zoo import create

# (module, input shape, multiply-accumulates worked out by hand)


def fingerprint(model: nn.Module) -> dict[str, object]:
    return {
        "state": {
            key: (value.data_ptr(), value.device, value._version)
            for key, value in model.state_dict(keep_vars=True).items()
        },
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "grads": [parameter.grad is None for parameter in model.parameters()],
        "types": [type(module) for module in model.modules()],
    }


@pytest.mark.parametrize("training", [True, False])
def test_the_model_and_the_random_state_are_not_touched(training: bool) -> None:
    model = create("mobilenet_v2_x0_35", stem="cifar").train(training)
    before, values = fingerprint(model), copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    count(model, (3, 32, 32), batch=2)
    assert fingerprint(model) == before
    assert all(torch.equal(values[key], value) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_failed_count_leaves_the_model_alone() -> None:
    model = create("mobilenet_v2_x0_35")
    before = fingerprint(model)
    with pytest.raises(InputError):
        count(model, (1, 32, 32))
    assert fingerprint(model) == before
    assert count(model, (3, 64, 64)).macs > 0


def test_nothing_is_allocated() -> None:
    """A 10-GB layer, and activations of 40 GB."""
    with torch.device("meta"):
        large = nn.Sequential(nn.Conv2d(3, 1000, 3, padding=1), nn.Flatten(1, 2), nn.Linear(1000, 2_500_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cost = count(large, (3, 1000, 1000), batch=10)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert cost.params == 1000 * 28 + 1001 * 2_500_000
    assert cost.macs == 10 * 1000 * 1000 * 1000 * (27 + 2_500_000)
    assert grown_kib < 500_000


def test_a_copy_is_not_made_of_real_weights() -> None:
    model = nn.Linear(5000, 5000)  # 100 MB
    model(torch.zeros(1, 5000)).sum().backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        count(model, (5000,))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
