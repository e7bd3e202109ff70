"""The papers' arithmetic, against modules that are counted and figures that the papers print."""

from __future__ import annotations

import pytest
from torch import nn

from pennyweight.cost import count
from pennyweight.cost.arithmetic import (
    Parts,
    compound_scaling,
    depthwise,
    grouped,
    pointwise,
    resnet_unit,
    resnext_unit,
    separable,
    shufflenet_unit,
    standard,
)

PLACES = 7 * 9


def conv(c_in: int, c_out: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)


@pytest.mark.parametrize(
    ("parts", "module"),
    [
        (standard(8, 12, kernel=3, places=PLACES), conv(8, 12, 3)),
        (depthwise(8, kernel=5, places=PLACES), conv(8, 8, 5, 8)),
        (grouped(8, 12, kernel=3, groups=4, places=PLACES), conv(8, 12, 3, 4)),
        (pointwise(8, 12, places=PLACES), conv(8, 12)),
        (separable(8, 12, kernel=3, places=PLACES), nn.Sequential(conv(8, 8, 3, 8), conv(8, 12))),
        (resnet_unit(16, 4, places=PLACES), nn.Sequential(conv(16, 4), conv(4, 4, 3), conv(4, 16))),
        (resnext_unit(16, 8, groups=4, places=PLACES), nn.Sequential(conv(16, 8), conv(8, 8, 3, 4), conv(8, 16))),
        (
            shufflenet_unit(16, 8, groups=4, places=PLACES),
            nn.Sequential(conv(16, 8, 1, 4), conv(8, 8, 3, 8), conv(8, 16, 1, 4)),
        ),
    ],
)
def test_formulas_are_what_modules_cost(parts: Parts, module: nn.Sequential) -> None:
    channels = next(module.parameters()).shape[1] * getattr(next(iter([*module.children(), module])), "groups", 1)
    cost = count(module, (channels, 7, 9))
    assert parts == (cost.macs, cost.params)


def test_the_papers_formulas() -> None:
    c, m, g, hw = 240, 60, 3, 28 * 28
    assert resnet_unit(c, m, places=hw).macs == hw * (2 * c * m + 9 * m * m)
    assert resnext_unit(c, m, groups=g, places=hw).macs == hw * (2 * c * m + 9 * m * m // g)
    assert shufflenet_unit(c, m, groups=g, places=hw).macs == hw * (2 * c * m // g + 9 * m)


def test_separable_saves_what_equation_5_says() -> None:
    whole = standard(512, 512, kernel=3, places=196)
    assert separable(512, 512, kernel=3, places=196).macs / whole.macs == pytest.approx(1 / 512 + 1 / 9)
    assert whole == (196 * 9 * 512 * 512, 9 * 512 * 512)


def test_compound_scaling_doubles_the_work() -> None:
    assert compound_scaling(0) == (1, 1, 1, 1, 1)
    one = compound_scaling(1)
    assert (one.depth, one.width, one.resolution) == (1.2, 1.1, 1.15)
    assert one.macs == pytest.approx(1.92, abs=0.005)  # "about 2" in the paper
    assert compound_scaling(7).macs == pytest.approx(one.macs**7)
    assert compound_scaling(2).params == pytest.approx(one.macs**2 / one.resolution**4)


def test_groups_must_divide() -> None:
    with pytest.raises(ValueError, match=r"10 and 12 must be divisible by the groups \(=4\)"):
        grouped(10, 12, kernel=3, groups=4, places=1)
