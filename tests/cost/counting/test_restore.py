"""A count leaves the model and the random state as they were, and allocates nothing."""

from __future__ import annotations

import copy
import resource
import weakref
from collections.abc import Callable
from functools import partial, reduce, wraps

import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.cost import count, time_networks
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


def closed_over(model: nn.Module) -> Callable[[Tensor], Tensor]:
    first = model.forward
    return lambda x: first(x) * 2


def by_default(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x, layers=tuple(model): reduce(lambda x, layer: layer(x), layers, x)


def partly(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return partial(lambda forward, x: forward(x), closed_over(model))


def wrapped(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return wraps(model.forward)(closed_over(model))


@pytest.mark.parametrize("replace", [closed_over, by_default, partly, wrapped])
@pytest.mark.parametrize("real", [False, True])
def test_a_forward_that_somebody_has_replaced_runs_on_the_copy(
    replace: Callable[[nn.Module], Callable[[Tensor], Tensor]], real: bool
) -> None:
    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > -1e9 else -x

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), *([Looks()] if real else [])).train()
    model.forward = forward = replace(model)
    before, values = fingerprint(model), copy.deepcopy(dict(model.named_buffers()))
    cost = count(model, (3, 8, 8), batch=2)
    assert [layer.macs for layer in cost.layers if layer.type == "Conv2d"] == [2 * 36 * 4 * 27]
    assert all(torch.equal(values[key], value) for key, value in model.named_buffers())
    assert fingerprint(model) == before
    assert model.forward is forward
    assert ("real forward pass" in str(cost.notes)) == real


def test_what_reaches_the_model_by_another_way_is_put_back() -> None:
    """A weak reference is the same in a copy."""

    class Reaches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.calls = nn.BatchNorm1d(4), 0
            self.register_buffer("seen", torch.zeros(4))
            self.original = weakref.ref(self)

        def forward(self, x: Tensor) -> Tensor:
            model = self.original()
            assert model is not None
            model.calls += 1
            model.seen = torch.ones(4)
            model.norm.eval()
            model.extra = 1
            model.norm.num_batches_tracked += 1
            return x if x.sum() > -1e9 else -x

    model = Reaches().train()
    seen = model.seen
    before = fingerprint(model)
    del before["state"]  # whose versions say that it was written twice
    count(model, (4,), batch=3)
    time_networks([model], [(4,)], batch=3, repeats=2)
    after = fingerprint(model)
    assert {key: after[key] for key in before} == before
    assert (model.calls, model.norm.num_batches_tracked, model.norm.training) == (0, 0, True)
    assert model.seen is seen
    assert not hasattr(model, "extra")


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
