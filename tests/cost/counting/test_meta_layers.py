"""Layers whose operator is noted without torch's way to it cost what they cost with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth as Torchvisions

from pennyweight import zoo
from pennyweight.cost import Cost, count
from pennyweight.cost.counting import tracer
from pennyweight.nn.stochastic_depth import StochasticDepth


class Subclass(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Mapped(nn.Module):
    """A layer that runs under vmap, which shows it one image of those that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.vmap(lambda image: self.layer(image[None])[0])(x)


def hooked() -> nn.Module:
    layer = nn.Conv2d(3, 4, 3)
    layer.register_forward_hook(lambda module, args, out: out.relu())
    return layer


def changed() -> nn.Module:
    layer = nn.ReLU()
    layer.forward = lambda x: x + 1  # type: ignore[method-assign]
    return layer


def layers() -> nn.Module:
    """With every option that changes what torch calls."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding="same"),
        nn.BatchNorm2d(8, affine=False),
        nn.SiLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular", groups=4),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.ReLU(),
        nn.BatchNorm2d(8, momentum=0.3),
        nn.Conv2d(8, 8, (3, 1), stride=2, dilation=2, bias=False),
        nn.Sigmoid(),
        *(Torchvisions(chance, mode) for mode in ("row", "batch") for chance in (0.0, 0.2, 1.0)),
        *(StochasticDepth(chance) for chance in (0.0, 0.2)),
        nn.AdaptiveAvgPool2d((2, 1)),
        nn.AdaptiveAvgPool2d(1),
    )


MADE: dict[str, Callable[[], nn.Module]] = {
    "layers": layers,
    "hooked": hooked,
    "changed": changed,
    "subclass": lambda: Subclass(3, 4, 3),
    "under vmap": Mapped,
    **{name: partial(zoo.create, name) for name in ("efficientnet_b0", "shufflenet_v2_x0_5", "mobilenet_v2")},
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", MADE)
def test_the_short_way_counts_what_the_long_one_does(
    name: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MADE[name]().train(training)

    def counted() -> Cost:
        return count(model, (3, 64, 64), batch=2)

    short = counted()
    monkeypatch.setattr(tracer, "operator_of", lambda layer: None)
    long = counted()
    assert short == long
    assert short.operations == long.operations


def test_hooks_on_all_modules_are_called() -> None:
    met = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, out: met.append(type(module)))
    try:
        count(nn.Sequential(nn.ReLU(), nn.SiLU()), (3, 8, 8))
    finally:
        handle.remove()
    assert met == [nn.ReLU, nn.SiLU, nn.Sequential]


def test_an_image_without_batch_goes_the_long_way() -> None:
    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layer(x[0])
            return out

    assert count(Alone(), (3, 5, 5)).macs == 4 * 9 * 27
