"""The linter finds what breaks a guideline, and nothing where none is broken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pennyweight.cost import Finding, MachineProfile, count, lint
from pennyweight.cost.dead_kernels import dead_depthwise
from pennyweight.nn.init import meta_device
from pennyweight.zoo import create


def conv(c_in: int, c_out: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)


def found(model: nn.Module, channels: int, profile: MachineProfile | None = None) -> dict[str, Finding]:
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


class Paths(nn.Module):
    """Chains of convolutions from one tensor to one sum, each in a module of its own."""

    def __init__(self, *lengths: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(nn.Sequential(*(conv(8, 8) for _ in range(length))) for length in lengths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([path(x) for path in self.paths]).sum(0)


def test_g3_convolutions_side_by_side(profile: MachineProfile) -> None:
    finding = found(nn.Sequential(conv(8, 8), Paths(1, 2, 3)), 8, profile)["G3"]
    assert (finding.name, finding.found) == ("1.paths", 3.0)
    assert "3 parallel convolutions, 6 in the block" in finding.advice
    assert finding.extra_bytes == 2 * 4 * 8 * 28 * 28  # what three read is read twice too often
    assert finding.extra_ms == pytest.approx(3e-3)  # three of six calls of a microsecond


@pytest.mark.parametrize("lengths", [(1, 2), (12,)], ids=["a block and its shortcut", "a chain"])
def test_g3_leaves_alone_what_is_not_fragmented(lengths: tuple[int, ...]) -> None:
    assert "G3" not in found(nn.Sequential(Paths(*lengths), Paths(*lengths)), 8)


def test_g3_counts_no_more_than_the_parts_that_each_reads() -> None:
    class Split(Paths):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([path(part) for path, part in zip(self.paths, (x + x).chunk(4, dim=1), strict=True)])

    finding = found(Split(1, 1, 1, 1), 32)["G3"]
    assert (finding.found, finding.extra_bytes) == (4.0, 0)


def test_g3_of_cells_that_read_two_cells_before_them() -> None:
    class Cell(Paths):
        def forward(self, now: Tensor, before: Tensor) -> Tensor:
            return torch.stack([path(x) for path, x in zip(self.paths, (now, before, now), strict=True)]).sum(0)

    class Cells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.ModuleList(Cell(2, 2, 1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            before = x
            for cell in self.cells:
                x, before = cell(x, before), x
            return x

    findings = lint(count(Cells().eval(), (8, 28, 28)))
    assert {f.name: f.found for f in findings if f.guideline == "G3"} == {f"cells.{n}.paths": 3.0 for n in range(3)}


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("torchvision:googlenet", {4}),
        ("vgg16", set()),
        ("mobilenet_v2", set()),
        ("shufflenet_v2_x1_0", set()),
        ("resnext50_32x4d", set()),
    ],
)
def test_g3_of_networks(name: str, paths: set[int]) -> None:
    with meta_device():
        network = create(name).eval()
    findings = [finding for finding in lint(count(network, (3, 224, 224))) if finding.guideline == "G3"]
    assert {finding.found for finding in findings} == paths
    assert {finding.name.rstrip("abcde") for finding in findings} <= {"inception3", "inception4", "inception5"}


def test_g4_element_wise_work() -> None:
    finding = found(nn.Sequential(conv(64, 64), nn.BatchNorm2d(64), nn.ReLU()), 64)["G4"]
    assert 0.5 < finding.found < 0.8
    assert finding.advice.startswith("batch norm, relu: fold norms into convolutions (export does), work in place, or")
    alone = found(nn.Sequential(conv(64, 64), nn.ReLU(inplace=True)), 64)["G4"]
    assert alone.advice == "relu: leave some out"  # no norm to fold, and in place already
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
