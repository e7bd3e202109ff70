"""Several processes as one training: each takes its part of every batch, and sums go over all."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.machine import machine
from pennyweight.data import Batch, Share

__all__ = ["PATIENCE_S", "Ranks"]

PATIENCE_S = 600
"""A rank that hears nothing of another for so long takes it for dead: one machine may read its pictures slower. A
process that ends is noticed at once, by its connection or by torchrun."""

T = TypeVar("T")


class Ranks:
    """This process among `count`: torchrun starts several, anything else one. Only the first writes."""

    def __init__(self) -> None:
        patience = InitProcessGroupKwargs(timeout=timedelta(seconds=PATIENCE_S))
        # Without being told, accelerate makes ranks on accelerators alone.
        self.accelerator = Accelerator(cpu=not torch.accelerator.is_available(), kwargs_handlers=[patience])
        self.count = self.accelerator.num_processes
        self.number = self.accelerator.process_index
        self.device: torch.device = self.accelerator.device

    @property
    def machine(self) -> dict[str, str | int | None]:
        """This machine with all of it that steps are computed by: what decides their time and their last bits."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return machine() | {
            "threads": torch.get_num_threads(),
            "onednn": torch.backends.mkldnn.enabled,
            "accelerator": None if name == "cpu" else name,
            "ranks": self.count,
        }

    def prepare(self, model: nn.Module) -> nn.Module:
        """The module whose gradients are means over the ranks; batch norm too is over all of them where it can be."""
        if self.count > 1 and self.device.type == "cuda":  # torch has it for CUDA alone
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        if self.count > 1:  # a depthwise filter lies in both layouts at once, which DDP takes for a slow one
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        prepared: nn.Module = self.accelerator.prepare(model)
        return prepared

    def share_buffers(self, model: nn.Module) -> None:
        """Give every rank the first one's, such as the figures of norms. A forward pass on the bare model needs no
        other rank: one that has no pictures left does not keep the rest waiting."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def part(self, batch: Batch) -> Batch:
        """This rank's share of a batch, nearly as large as every other's; of a stream it is one already."""
        if self.count == 1 or isinstance(batch, Share):
            return batch
        return batch.rows(np.array_split(np.arange(len(batch.targets)), self.count)[self.number])

    def turns(self, items: Iterator[T]) -> Iterator[T | None]:
        """This rank's of every `count` items; None where the last are too few, so that all ranks take as many turns."""
        while turn := list(islice(items, self.count)):
            yield turn[self.number] if self.number < len(turn) else None

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the ranks, in float64."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        try:
            dist.all_reduce(total)
        except RuntimeError as error:
            raise self.explain(error) from error
        return list(total.tolist())

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in order."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        dist.all_gather_object(values, value)
        return values

    def explain(self, error: RuntimeError) -> Exception:
        """What a failure of torch means where several work together; alone, the failure itself."""
        if self.count == 1 or not any(word in str(error) for word in ("gloo", "NCCL", "onnection", "process group")):
            return error
        reason = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0]).split(". ")[
            0
        ]  # gloo's begins with its source file
        return PennyweightError(
            f"rank {self.number} lost another one ({reason}); the same command with --resume goes on"
        )

    def end_others(self) -> None:
        """From here on the first rank works alone; every other one ends its process, with status 0."""
        if self.count == 1:
            return
        dist.destroy_process_group()
        if self.number:
            raise SystemExit(0)
