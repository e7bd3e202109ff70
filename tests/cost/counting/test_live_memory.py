"""Peak memory by liveness, against what torch's profiler saw being allocated."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from pennyweight.cost import count
from pennyweight.cost.counting import workspace
from pennyweight.zoo import create

SIZE = (3, 224, 224)
NAMES = ("mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "vit_ti_16")
EACH = [*NAMES[::3], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:3])]


def profiled_bytes(model: nn.Module, *, batch: int, layout: torch.memory_format, step: bool = False) -> int:
    """The most that was allocated at once during a pass, its input included."""
    model = model.to(memory_format=layout)
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, torch.set_grad_enabled(step):
        out = model(torch.rand(batch, *SIZE).contiguous(memory_format=layout))
        if step:
            out.sum().backward()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


@pytest.mark.parametrize("name", EACH)
def test_inference_is_what_the_profiler_shows(name: str) -> None:
    model = create(name).eval()
    cost = count(model, SIZE)
    assert cost.peak_activation_bytes == pytest.approx(
        profiled_bytes(model, batch=1, layout=torch.channels_last), rel=0.005
    )


@pytest.mark.parametrize("name", EACH)
def test_workspace_is_what_other_orders_cost(name: str) -> None:
    model = create(name).eval()
    cost = count(model, SIZE)
    seen = profiled_bytes(model, batch=1, layout=torch.contiguous_format)
    assert cost.peak_activation_bytes + cost.workspace_bytes == pytest.approx(seen, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_is_what_the_profiler_shows(name: str) -> None:
    model = create(name).train()
    cost = count(model, SIZE, batch=2, training_step=True)
    seen = profiled_bytes(model, batch=2, layout=torch.contiguous_format, step=True)
    assert cost.peak_training_bytes == pytest.approx(seen, rel=0.1)
    assert cost.peak_training_bytes > cost.peak_activation_bytes


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "resnext50_32x4d"])
def test_gradients_where_channels_are_last_take_their_workspace(name: str) -> None:
    model = create(name).train()
    cost = count(model, SIZE, training_step=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # with one thread 1×1 convolutions are done without
    try:
        seen = profiled_bytes(model, batch=1, layout=torch.channels_last, step=True)
    finally:
        torch.set_num_threads(threads)
    assert cost.peak_training_bytes + cost.training_workspace_bytes == pytest.approx(seen, rel=0.01)


@pytest.mark.parametrize("block", [16, 8], ids=["512 bits", "256 bits"])
def test_gradients_of_groups_are_filled_up_to_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Depthwise 5×5: beside its weights, for every channel 16×16 windows, or 8×8 by narrower registers."""
    monkeypatch.setattr(workspace, "BLOCK", block)
    network = nn.Conv2d(32, 32, 5, groups=32, bias=False)
    cost = count(network, (32, 5, 5), training_step=True)
    assert cost.training_workspace_bytes == 4 * (32 * 25 + 32 * block * block * 25)
    assert count(network, (32, 5, 5)).training_workspace_bytes is None


@pytest.mark.slow
def test_the_first_count_of_a_process_has_the_peak_of_later_ones() -> None:
    """What torch loads during a pass would keep tensors alive."""
    program = """
from pennyweight.cost import count
from pennyweight.zoo import create
network = create("shufflenet_v2_x1_0").eval()
print(*(count(network, (3, 224, 224)).peak_activation_bytes for _ in range(2)))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == told[1]


def test_memory_by_hand() -> None:
    """1 kB in; 2 kB made of it and then 4 kB of that, while the input lives on."""

    class Grows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.cat([x, x])
            x = torch.cat([x, x])
            return x[:1]

    cost = count(Grows(), (250,))
    assert cost.peak_activation_bytes == 1000 + 2000 + 4000
    assert cost.peak_training_bytes is None


def test_what_is_done_in_place_takes_nothing() -> None:
    cost = count(nn.Sequential(nn.Linear(100, 100), nn.ReLU(inplace=True), nn.Flatten()), (100,))
    assert cost.peak_activation_bytes == 800
    cost = count(nn.Sequential(nn.Linear(100, 100), nn.ReLU(), nn.Flatten()), (100,))
    assert cost.peak_activation_bytes == 1200
    assert cost.peak_layer == "1"


def test_a_frozen_network_keeps_nothing_for_training() -> None:
    model = nn.Sequential(nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 100))
    free = count(model, (100,), training_step=True)
    frozen = count(model.requires_grad_(False), (100,), training_step=True)
    assert frozen.peak_training_bytes == frozen.peak_activation_bytes < free.peak_training_bytes
    assert (frozen.trainable_params, free.trainable_params) == (0, 20_200)
