"""Each rank measures the ways to step: measuring_program.py OUT. Compiling fails on the last rank alone.

OUT.RANK says what was found with compiling, without it, and once more; the first rank alone remembers.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from distributed_program import CLASSES, SIDE, pictures
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from pennyweight.data import Augment
from pennyweight.train import Ranks, Recipe
from pennyweight.train import autotune as room
from pennyweight.train.trials import Trials


def broken(network: nn.Module) -> Any:
    def compiled(x: torch.Tensor) -> torch.Tensor:
        raise TorchDynamoException("no Python.h")

    return compiled


def main(out: Path) -> None:
    ranks = Ranks()
    last = ranks.number == ranks.count - 1
    memory = out.with_name(f"memory-{ranks.number}")
    torch.compile = broken if last else lambda network: network  # type: ignore[assignment]
    room.shutil.which = lambda name: name  # type: ignore[assignment]
    known = pictures(32)
    batches = list(known.epoch(1, batch=16, seed=0, augment=Augment(flip=False, shift=0.0)))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, SIDE), nn.ReLU(), nn.Flatten(), nn.Linear(8, CLASSES))

    def measured(compiling: bool) -> Trials:
        return room.measure(
            network, batches, Recipe(batch=16), preprocess=known.preprocess, ranks=ranks, compiling=compiling,
            memory=memory,
        )  # fmt: skip

    found = [measured(True), measured(False), measured(False)]
    assert memory.exists() == (not ranks.number)
    out.with_suffix(f".{ranks.number}").write_text(json.dumps([each.to_dict() for each in found]))
    ranks.end_others()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
