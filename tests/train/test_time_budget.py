"""A schedule that follows the clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pennyweight.core.errors import InputError
from pennyweight.train import Checkpointer, Checkpoints, Epoch, Recipe, train
from pennyweight.train.callbacks import NullCallback
from pennyweight.train.deadline import RESERVE, SPARE, Deadline
from pennyweight.train.epoch_plan import EpochPlan, Stretch
from pennyweight.train.phase import Phase
from pennyweight.train.time_budget import Pace

SIZE = 32
PACE = Pace(steps=10, first_step_s=0.25, step_s=1.0, validation_s=0.0)
LONG = Pace(steps=60, first_step_s=0.25, step_s=1.0, validation_s=0.0)
WHOLE, GROWING = Recipe(), Recipe(first_size=0.5)


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spent(
    recipe: Recipe, slower: Callable[[int], float], *, left_s: float = 600.0, pace: Pace = PACE
) -> tuple[float, EpochPlan]:
    """(seconds of a training whose epoch number N takes `slower(N)` times what was measured, its last plan)."""
    watch = Watch()
    deadline = Deadline(left_s, pace, SIZE, clock=watch)
    recipe, done = deadline.first(recipe), 0
    plan = recipe.epoch_plan
    while done < plan.epochs:
        done += 1
        watch.now += slower(done) * pace.seconds_of(range(done, done + 1), recipe, SIZE, plan)
        plan = deadline.fitted(recipe, plan, done)
    assert done == plan.epochs
    return watch.now - 100.0, plan


@pytest.mark.parametrize("recipe", [WHOLE, GROWING])
def test_a_steady_machine_keeps_its_plan(recipe: Recipe) -> None:
    seconds, ended = spent(recipe, lambda epoch: 1.02 if epoch % 2 else 0.99)
    assert not ended.stretches
    assert 600 * 0.89 <= seconds <= 600


@pytest.mark.parametrize("recipe", [WHOLE, GROWING])
def test_a_slow_first_epoch_says_nothing(recipe: Recipe) -> None:
    assert not spent(recipe, lambda epoch: 1.3 if epoch == 1 else 1.0)[1].stretches


@pytest.mark.parametrize("recipe", [WHOLE, GROWING])
def test_one_slow_epoch_takes_none_away(recipe: Recipe) -> None:
    seconds, ended = spent(recipe, lambda epoch: 1.15 if epoch == 2 else 1.01, pace=LONG)
    assert not ended.stretches
    assert 600 * 0.9 <= seconds <= 600


@pytest.mark.parametrize("recipe", [WHOLE, GROWING])
@pytest.mark.parametrize("factor", [1.06, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (1.03, 1.1))])
def test_few_long_epochs_use_most_of_the_time(recipe: Recipe, factor: float) -> None:
    seconds, ended = spent(recipe, lambda epoch: factor * (1.02 if epoch % 2 else 0.98), pace=LONG)
    assert ended.epochs >= ended.planned - 1
    assert 600 * 0.88 <= seconds <= 600


@pytest.mark.parametrize("recipe", [WHOLE, GROWING])
@pytest.mark.parametrize("factor", [pytest.param(1.3, marks=pytest.mark.slow), 2.0])
def test_a_machine_that_gets_slower_ends_in_time(recipe: Recipe, factor: float) -> None:
    seconds, ended = spent(recipe, lambda epoch: factor if epoch > 8 else 1.0, left_s=600.0)
    assert ended.epochs < ended.planned
    assert 600 * 0.8 <= seconds <= 600


@pytest.mark.parametrize("recipe", [WHOLE, GROWING])
def test_time_that_a_quicker_machine_leaves_is_used(recipe: Recipe) -> None:
    seconds, ended = spent(recipe, lambda epoch: 0.6 if epoch > 3 else 1.0)
    assert ended.epochs > 1.3 * ended.planned
    assert 600 * 0.85 <= seconds <= 600


def test_one_epoch_at_least_is_left_to_let_the_rate_fall() -> None:
    seconds, ended = spent(WHOLE, lambda epoch: 40.0)
    assert ended.epochs == ended.stretches[-1].until + 1
    assert seconds > 600


def test_the_plan_keeps_some_time() -> None:
    deadline = Deadline(600.0, PACE, SIZE)
    planned_s = 600 * (1 - RESERVE - SPARE)
    assert deadline.first(WHOLE).epochs == planned_s // 10
    assert deadline.first(WHOLE, 100.0).epochs == (planned_s - 100) // 10


def test_the_rest_of_the_first_plan_is_gone_through_in_the_epochs_that_are_left() -> None:
    plan = Recipe(epochs=20).epoch_plan.stretched(14, after=8)
    assert plan.stretches == (Stretch(8, 20),)
    assert [plan.position(done) for done in (0, 4, 8, 11, 14)] == [0, 4, 8, 14, 20]
    again = plan.stretched(17, after=11)
    assert again.stretches == ((8, 20), (11, 14))
    assert [again.position(done) for done in (8, 11, 14, 17)] == [8, 14, 17, 20]
    assert again.position(11 * 7 + 3, 7) == pytest.approx(7 * again.position(11 + 3 / 7))
    kept = json.loads(json.dumps(Recipe(epochs=20).to_record(again)))
    assert (EpochPlan.from_dict(kept), Recipe.from_dict(kept)) == (again, Recipe(epochs=17))
    growing = Recipe(epochs=20, first_size=0.5)
    assert [growing.side(SIZE, epoch, again) for epoch in (1, 9, 12, 17)] == [16, 24, 32, 32]


@pytest.mark.parametrize("stretches", [((8, 8),), ((8, 20), (8, 14)), ((20, 30),), ((0, 4),)])
def test_a_plan_that_contradicts_itself_is_refused(stretches: Any) -> None:
    with pytest.raises(InputError, match="recipe field 'stretches' must be rows of"):
        EpochPlan(20, stretches)


class Interrupted(Exception):
    pass


def test_a_plan_changed_on_the_way_gives_the_bits_of_the_recipe_that_came_of_it(
    make_network: Callable[..., Any], make_pictures: Callable[..., Any], tmp_path: Path
) -> None:
    """Also where the training was killed after the change, and goes on by what its checkpoint says."""
    classes = [number % 4 for number in range(40)]
    asked = Recipe(epochs=6, batch=8, schedule="one-cycle", first_size=1.0, ema=0.5)

    def replan(plan: EpochPlan, done: int) -> EpochPlan:
        return plan.stretched(4, after=2) if done == 2 else plan

    def trained(phase: Phase, *, checkpointer: Checkpointer | None = None, until: int = 99) -> Any:
        network, told = make_network(), []

        def after_epoch(epochs: list[Epoch], best: bool) -> None:
            told.append(epochs[-1])
            if len(epochs) == until:
                raise Interrupted

        try:
            train(
                network, training=make_pictures(classes), validation=make_pictures(classes, seed=1), recipe=asked,
                seed=0, callback=NullCallback(), after_epoch=after_epoch, preprocess=make_pictures(classes).preprocess,
                phase=phase, checkpointer=checkpointer,
            )  # fmt: skip
        except Interrupted:
            return None
        return [epoch.lr for epoch in told], network.state_dict()

    rates, weights = trained(Phase(replan=replan))
    assert len(rates) == 4
    assert rates[-1] < 0.2 * asked.lr
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert trained(Phase(replan=replan), checkpointer=Checkpointer(checkpoints), until=2) is None
    kept = checkpoints.latest()
    assert kept is not None
    settled = EpochPlan.from_dict(kept)
    assert settled == asked.epoch_plan.stretched(4, after=2)
    resumed = trained(Phase(), checkpointer=Checkpointer(checkpoints))
    for equal in (trained(Phase(plan=settled)), resumed):
        assert all(torch.equal(value, weights[name]) for name, value in equal[1].items())
