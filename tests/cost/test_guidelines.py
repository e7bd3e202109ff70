"""The linter finds what breaks a guideline, and nothing where none is broken."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from pennyweight.cost import MachineProfile, count, lint
from pennyweight.cost.dead import dead_depthwise
from pennyweight.zoo import create


def conv(c_in: int, c_out: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)


def found(model: nn.Module, channels: int, profile: MachineProfile | None = None) -> dict[str, object]:
    return {f.guideline: f for f in lint(count(model.eval(), (channels, 28, 28)), profile)}


def test_equal_widths_follow_every_guideline() -> None:
    assert found(nn.Sequential(conv(64, 64), conv(64, 64)), 64) == {}


def test_g1_unequal_widths_with_the_better_ones_and_what_they_save(profile: MachineProfile) -> None:
    finding = found(nn.Sequential(conv(16, 256)), 16, profile)["G1"]
    assert (finding.name, finding.found, finding.best) == ("0", 16.0, 1.0)
    assert "64 channels in and out instead of 16 and 256" in finding.advice
    places = 28 * 28
    assert finding.extra_bytes == 4 * (places * (16 + 256) - places * (64 + 64))
    assert finding.extra_ms == pytest.approx(1000 * finding.extra_bytes / 1e9, rel=1e-6)


def test_g2_groups() -> None:
    finding = found(nn.Sequential(conv(128, 128, 3, groups=16)), 128)["G2"]
    assert finding.found == 16.0
    assert finding.extra_bytes > 0
    assert "1 group of 32 to 32 channels" in finding.advice
    assert "G2" not in found(nn.Sequential(conv(128, 128, 3, groups=128)), 128)  # a depthwise one is its own kind


def test_g3_fragments(profile: MachineProfile) -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(conv(8, 8) for _ in range(6))

        def forward(self, x: Tensor) -> Tensor:
            for part in self.parts:
                x = part(x)
            return x

    finding = found(Many(), 8, profile)["G3"]
    assert (finding.name, finding.found) == ("parts", 6.0)
    assert finding.extra_ms == pytest.approx(5e-3)  # five calls of a microsecond
    assert "G3" not in found(nn.Sequential(conv(8, 8), conv(8, 8)), 8)


def test_g4_element_wise_work() -> None:
    finding = found(nn.Sequential(conv(64, 64), nn.BatchNorm2d(64), nn.ReLU()), 64)["G4"]
    assert 0.5 < finding.found < 0.8
    assert "batch norm, relu" in finding.advice
    assert "G4" not in found(nn.Sequential(conv(64, 64)), 64)


def test_the_worst_comes_first(profile: MachineProfile) -> None:
    findings = lint(count(create("mobilenet_v2").eval(), (3, 224, 224)), profile)
    lost = [finding.extra_ms for finding in findings]
    assert lost == sorted(lost, reverse=True)
    assert {finding.guideline for finding in findings} >= {"G1", "G4"}


def test_dead_kernels_are_those_of_depthwise_convolutions_that_are_nothing() -> None:
    model = nn.Sequential(conv(8, 8, 3, groups=8), conv(8, 8, 3, groups=4), conv(8, 8))
    assert dead_depthwise(model) == (0, 8)
    model[0].weight.data[:3] *= 1e-7
    model[1].weight.data[:] = 0
    assert dead_depthwise(model) == (3, 8)
    assert dead_depthwise(nn.Linear(2, 2)) == (0, 0)


def test_the_convolution_of_colours_is_no_light_work() -> None:
    cost = count(nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())), (3, 32, 32))
    (finding,) = (finding for finding in lint(cost, None) if finding.guideline == "G4")
    assert finding.found < 1
    assert finding.advice.startswith("relu:")
