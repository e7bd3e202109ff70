"""Wall time of the trials of `pick` by one worker and by two that share a storage, each with one thread of torch.

    python benchmarks/pick_workers.py [SOURCE] [--minutes 4] [--workers 1 2] [--storage ADDRESS]

Each number of workers has a storage of its own, a journal file by default. The time is that from the begin of the first
trial to the end of the last one, as the storage has them. A training has a fixed length in seconds, and workers that
share cores train less in it. The training of the chosen network, which one worker does, is not begun.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna

from pennyweight.core.machine import machine_line
from pennyweight.search.storage import open_storage

FINAL = "the chosen network"
LOST_AFTER_S = 900


def trials_of(place: str) -> list[Any]:
    """Return the trials of the one study of a storage; none before it is there."""
    if "://" not in place and not Path(place).exists():
        return []
    storage = open_storage(place)
    studies = storage.get_all_studies()
    return storage.get_all_trials(studies[0]._study_id, deepcopy=False) if studies else []


def search(source: str, minutes: float, workers: int, place: str, folder: Path) -> list[Any]:
    """Return the trials of a search that ends where the training of the chosen network would begin."""
    command = [sys.executable, "-m", "pennyweight", "pick", source, "--weights", "none", "--minutes", str(minutes)]
    begun = [
        subprocess.Popen(
            [*command, "--storage", place, "--out", str(folder / f"worker-{number}")],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(workers)
    ]  # fmt: skip
    ends = time.monotonic() + LOST_AFTER_S
    try:
        while time.monotonic() < ends and any(worker.poll() is None for worker in begun):
            time.sleep(1)
            if any(trial.user_attrs["name"] == FINAL for trial in trials_of(place)):
                break
    finally:
        for worker in begun:
            worker.kill()
            worker.wait()
    return [trial for trial in trials_of(place) if trial.user_attrs["name"] != FINAL]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="digits")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--storage", help="address of an empty database for one number of workers; else journal files")
    asked = parser.parse_args()
    print(machine_line())
    first = None
    for workers in asked.workers:
        with tempfile.TemporaryDirectory() as name:
            place = asked.storage or str(Path(name, "trials.journal"))
            every = search(asked.source, asked.minutes, workers, place, Path(name))
        done = [trial for trial in every if trial.state.is_finished() and trial.state != optuna.trial.TrialState.FAIL]
        took = (
            max(each.datetime_complete for each in done) - min(each.datetime_start for each in done)
        ).total_seconds()
        trained = sum(each.user_attrs.get("trained_s", 0.0) for each in done)
        by = Counter(each.user_attrs["worker"]["id"] for each in done)
        doubled = len(done) - len({each.user_attrs["name"] for each in done})
        first = first or took
        print(
            f"{workers} workers: {len(done)} of {len({each.user_attrs['name'] for each in every})} candidates tried in "
            f"{took:.0f} s ({took / first:.2f} of the first), {doubled} doubled, by each worker {sorted(by.values())}, "
            f"longest trainings {trained:.0f} s together"
        )


if __name__ == "__main__":
    main()
