"""Share of `--minutes 10` that a plan uses when epochs vary and the machine is slower than it was measured.

    python benchmarks/minutes.py [--trials N]

The clock is simulated; the planning is `fit`'s own. Epochs are those of `sprint` on CIFAR-10: about ten or fifteen fit,
and each varies by 4%.
"""

import argparse
from dataclasses import replace

import numpy as np
from rich.console import Console

from pennyweight.core.figures import share
from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table
from pennyweight.train.deadline import Deadline
from pennyweight.train.presets import get_recipe
from pennyweight.train.time_budget import Pace

PACES = {
    15: Pace(steps=181, first_step_s=0.0894, step_s=0.2644, validation_s=1.15),
    10: Pace(steps=181, first_step_s=0.1319, step_s=0.3956, validation_s=1.706),
}
SIDE, VARIES = 32, 0.04


def used(pace: Pace, slower: float, draw: np.random.Generator) -> float:
    """Return the share of the time until the deadline that one training uses."""
    left_s, now = float(draw.uniform(530, 590)), 0.0
    deadline = Deadline(left_s, pace, SIDE, clock=lambda: now)
    recipe, done = deadline.first(replace(get_recipe("sprint"), epochs=1)), 0
    plan = recipe.epoch_plan
    while done < plan.epochs:
        done += 1
        now += (
            pace.seconds_of(range(done, done + 1), recipe, SIDE, plan) * slower * (1 + VARIES * draw.standard_normal())
        )
        plan = deadline.fitted(recipe, plan, done)
    return now / left_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    trials = parser.parse_args().trials
    rows = []
    for epochs, pace in PACES.items():
        for slower in (0.97, 1.0, 1.03, 1.06, 1.1):
            draw = np.random.default_rng(1)
            shares = np.array([used(pace, slower, draw) for _ in range(trials)])
            figures = (shares.mean(), shares.min(), shares.max(), np.mean(shares > 1))
            rows.append((epochs, slower, *(share(float(figure)) for figure in figures)))
    columns = [Column(title) for title in ("epochs, about", "times slower", "used, mean", "least", "most", "late")]
    console = Console()
    console.print(table(f"{trials} trainings each", columns, rows))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
