"""Predictions by a profile, and the profile of this machine on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.cost import MachineProfile, count, measure_machine, predict, profile_path, time_networks
from pennyweight.cost.timing.machine_profile import make_profile
from pennyweight.cost.timing.microbenchmarks import Case
from pennyweight.cost.timing.operator_kinds import kind_of
from pennyweight.cost.timing.operator_time import OperatorTime
from pennyweight.cost.timing.predict import build_profile, time_notes
from pennyweight.cost.timing.roofline import Limits
from pennyweight.zoo import create


def test_a_convolution_of_half_the_channels_of_a_batch_pays_for_their_copy(limits: Limits) -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(x.chunk(2, 1)[1])
            return out

    profile = make_profile(limits, {})
    copied = 2 * 4 * 8 * 49  # bytes of one image's half, read and written
    one, two = (sum(row.predicted_ms for row in predict(count(Half(), (16, 7, 7), batch=b), profile)) for b in (1, 2))
    assert one == pytest.approx(1000 * (1e-6 + (copied + 256) / 1e9))  # one image's half lies in one piece
    assert two == pytest.approx(1000 * (2e-6 + (2 * copied + 256 + 2 * copied) / 1e9))


def test_features_that_do_not_matter_do_not_blur() -> None:
    draw = np.random.default_rng(0)
    features = draw.uniform(-2, 2, (80, 3))
    learned = OperatorTime.learn(features, np.sin(3 * features[:, 0]))
    assert learned.error < 0.05
    assert learned([0.5, 0.0, 0.0]) == pytest.approx(np.sin(1.5), abs=0.15)
    assert learned([0.5, 1.9, -1.9]) == pytest.approx(np.sin(1.5), abs=0.15)


def test_beyond_its_measurements_a_time_grows_no_faster_than_the_sizes() -> None:
    """Two measurements that lie close together say nothing of how times grow."""
    learned = OperatorTime.learn([(10.0, 3.0), (10.1, 3.0)], [-9.0, -7.0])
    assert learned((10.1 + 4, 3.0 + 2)) - learned((10.1, 3.0)) <= np.log(2) * (4 + 2) + 1e-9
    assert learned((10.0, 3.0)) - learned((10.0 - 4, 3.0 - 2)) <= np.log(2) * (4 + 2) + 1e-9


def test_of_few_sizes_a_profile_knows_how_far_they_stay_behind_the_limits(limits: Limits) -> None:
    cases = []
    for width, times_the_limit in ((1000, 3.0), (1010, 5.0), (1020, 4.0)):
        (operation,) = count(nn.Linear(width, width, bias=False), (width,)).operations
        seconds = times_the_limit * limits.seconds(operation)
        cases.append(Case(nn.Identity(), (width,), operation, kind_of(operation), [seconds]))
    rough = build_profile(cases, limits)
    (row,) = predict(count(nn.Linear(4000, 100, bias=False), (4000,)), rough)
    assert row.predicted_ms == row.guessed_ms == pytest.approx(4 * row.roofline_ms)
    assert not rough.times


def test_the_roofline_by_hand(limits: Limits) -> None:
    (big,) = count(nn.Linear(1000, 1000, bias=False), (1000,)).operations
    assert limits.bound(big) == "memory"
    assert limits.seconds(big) == pytest.approx(1e-6 + 4_008_000 / 1e9)
    (dense,) = count(nn.Linear(1000, 1000, bias=False), (1000,), batch=1000).operations
    assert limits.bound(dense) == "compute"
    assert limits.seconds(dense) == pytest.approx(1e-6 + 1e9 / 1e10)
    (tiny,) = count(nn.ReLU(), (10,)).operations
    assert limits.bound(tiny) == "overhead"
    assert limits.parts(tiny)["L1"] == pytest.approx(80 / 1e11)


def test_a_prediction_is_what_such_operators_took(profile: MachineProfile) -> None:
    model = nn.Sequential(nn.Linear(1000, 1000), nn.ReLU())
    cost = count(model, (1000,))
    linear, relu = predict(cost, profile)
    assert (linear.name, linear.bound, relu.bound) == ("0", "memory", "memory")
    assert linear.predicted_ms == pytest.approx(9.0, rel=1e-3) != linear.roofline_ms
    assert relu.predicted_ms == relu.guessed_ms == relu.roofline_ms  # nothing is known of it
    assert linear.guessed_ms == 0


def test_another_precision_is_predicted_as_float32_and_that_is_said(limits: Limits, profile: MachineProfile) -> None:
    both = replace(profile, limits=replace(limits, macs_per_s={"float32": 1e10, "bfloat16": 2e10}))
    model = nn.Linear(1000, 1000, bias=False)
    cost = count(model.bfloat16(), (1000,), batch=1000)
    (row,) = predict(cost, both)
    assert row.predicted_ms == row.guessed_ms == pytest.approx(9.0, rel=1e-3)
    assert row.roofline_ms == pytest.approx(50.001)
    assert predict(cost, profile)[0].roofline_ms == pytest.approx(100.001)  # the rate of bfloat16 is not known
    assert time_notes(cost, profile) == (
        "computes in bfloat16, which was not timed; the predicted time is that of float32",
    )
    assert time_notes(count(model.float(), (1000,)), profile) == ()


def test_beyond_what_was_timed_a_prediction_is_a_guess_and_the_roofline_at_least(profile: MachineProfile) -> None:
    with torch.device("meta"):
        far = nn.Linear(1 << 15, 1 << 15, bias=False)
    (row,) = predict(count(far, (1 << 15,)), profile)
    assert row.predicted_ms == row.guessed_ms == row.roofline_ms > 1000


def test_times_of_another_torch_are_said_to_be(profile: MachineProfile) -> None:
    older = replace(profile, versions={**profile.versions, "torch": "1.0"})
    (note,) = time_notes(count(nn.Linear(4, 4), (4,)), older)
    assert note.startswith("the profile of this machine was measured with torch 1.0, and this is 2")


def test_rows_of_times_are_the_rows_of_layers(profile: MachineProfile) -> None:
    cost = count(create("shufflenet_v2_x0_5").eval(), (3, 64, 64))
    times = predict(cost, profile)
    assert [row.name for row in times] == [layer.name for layer in cost.layers]
    assert all(row.predicted_ms > 0 for row, layer in zip(times, cost.layers, strict=True) if layer.bytes_written)


def test_times_are_learned_as_a_smooth_function_and_kept() -> None:
    draw = np.random.default_rng(0)
    rows = draw.uniform(0, 10, (120, 2))
    learned = OperatorTime.learn(rows.tolist(), np.sin(rows[:, 0] / 2) + 0.1 * rows[:, 1])
    fresh = draw.uniform(1, 9, (50, 2))
    error = [abs(learned(row) - (np.sin(row[0] / 2) + 0.1 * row[1])) for row in fresh]
    assert np.median(error) < 0.02 < np.std(np.sin(rows[:, 0] / 2)) / 10
    again = OperatorTime.from_dict(json.loads(json.dumps(learned.to_dict())))
    assert again(fresh[0]) == pytest.approx(learned(fresh[0]))


def test_a_profile_is_kept_for_each_number_of_threads(
    profile: MachineProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    assert MachineProfile.load() is None
    profile = replace(profile, factors={"relu": 7.0})
    path = profile.save()
    assert path == profile_path(torch.get_num_threads())
    assert tmp_path in path.parents
    again = MachineProfile.load()
    cost = count(nn.Sequential(nn.Linear(50, 50), nn.ReLU()), (50,))
    assert predict(cost, again) == predict(cost, profile)
    assert MachineProfile.load(threads=profile.threads + 1) is None

    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "machine": {**kept["machine"], "processor": "another"}}))
    assert MachineProfile.load() is None
    path.write_text(json.dumps({**kept, "limits": {}}))
    with pytest.raises(PennyweightError, match="is not a machine profile"):
        MachineProfile.load()


@pytest.mark.slow
def test_this_machine_can_be_measured(few_rounds: None) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        state = torch.get_rng_state()
        measured = measure_machine(0.01)
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)
    assert measured.threads == 1
    assert set(measured.limits.macs_per_s) <= {"float32", "bfloat16", "int8"}
    assert min(measured.limits.bytes_per_s.values()) > 1e8
    assert "memory" in measured.limits.bytes_per_s
    assert 0 < measured.limits.overhead_s < 1e-2
    assert {
        "pointwise",
        "depthwise",
        "dense",
        "matrix product",
        "batch norm",
    } <= measured.times.keys() | measured.factors
    cost = count(create("mobilenet_v1_x0_25").eval(), (3, 64, 64))
    assert sum(row.predicted_ms for row in predict(cost, measured)) > 0


def test_networks_are_timed_and_left_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    state, values = torch.get_rng_state(), model[1].running_mean.clone()
    (timing,) = time_networks([model], [(4,)], batch=3, repeats=5)
    low, high = timing.quartiles_ms
    assert 0 < low <= timing.median_ms <= high
    assert (timing.batch, timing.repeats, timing.threads, timing.drift) == (3, 5, torch.get_num_threads(), None)
    assert model.training
    assert torch.equal(model[1].running_mean, values)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_be_timed() -> None:
    with pytest.raises(InputError, match="at least 2 repeats, not 1"):
        time_networks([nn.Linear(2, 2)], [(2,)], repeats=1)
    with pytest.raises(InputError, match="meta device has no values"):
        time_networks([nn.Linear(2, 2, device="meta")], [(2,)])
