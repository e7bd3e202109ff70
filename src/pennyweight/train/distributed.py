"""Distributed training: several processes (ranks) each compute a part of every batch, and add up their gradients."""

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
from torch import nn

from pennyweight.core.errors import PennyweightError
from pennyweight.core.machine import machine
from pennyweight.data import Batch, Share
from pennyweight.train.rendezvous import WAIT_MINUTES, meet

__all__ = ["PATIENCE_S", "Ranks"]

PATIENCE_S = 600
"""Seconds without a message after which a rank takes another one for dead. One machine may read its pictures slower, so
the limit is generous. A process that ends is noticed at once, by its connection or by torchrun."""

T = TypeVar("T")


class Ranks:
    """Ranks of a distributed training: torchrun starts `count` of them, any other command one.

    This process is rank `number`, from 0. Only rank 0 writes.
    """

    def __init__(self, wait: float = WAIT_MINUTES) -> None:
        """Meet the other ranks.

        Args:
            wait: Minutes to wait for them.

        Raises:
            InputError: A variable of torchrun is missing or wrong, or the port is in use.
            PennyweightError: A rank has not come in time.
        """
        with warnings.catch_warnings():  # in a notebook without widgets, which nothing here needs
            warnings.filterwarnings("ignore", "IProgress not found")
            from accelerate import Accelerator  # slow to import
            from accelerate.utils import InitProcessGroupKwargs

        meet(wait)
        patience = InitProcessGroupKwargs(timeout=timedelta(seconds=PATIENCE_S))
        # By default accelerate makes ranks on accelerators only.
        self.accelerator = Accelerator(cpu=not torch.accelerator.is_available(), kwargs_handlers=[patience])
        self.count = self.accelerator.num_processes
        self.number = self.accelerator.process_index
        self.device: torch.device = self.accelerator.device

    @property
    def machine(self) -> dict[str, str | int | None]:
        """Everything about this machine that decides the time of a step and its last bits."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return machine() | {
            "threads": torch.get_num_threads(),
            "onednn": torch.backends.mkldnn.enabled,
            "accelerator": None if name == "cpu" else name,
            "ranks": self.count,
        }

    def prepare(self, model: nn.Module) -> nn.Module:
        """Wrap the model so that its gradients are means over the ranks, and on CUDA batch norm's statistics too."""
        if self.count > 1 and self.device.type == "cuda":  # torch has it for CUDA only
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        if self.count > 1:  # a depthwise filter is in both layouts at once, which DDP takes for a slow one
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        prepared: nn.Module = self.accelerator.prepare(model)
        return prepared

    def share_buffers(self, model: nn.Module) -> None:
        """Copy rank 0's buffers, such as the running statistics of norms, to every rank.

        The bare model then validates without communication: a rank without pictures left keeps no other one waiting.
        """
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def part(self, batch: Batch) -> Batch:
        """Return this rank's share of a batch, of nearly equal size on every rank. Streams give shares already."""
        if self.count == 1 or isinstance(batch, Share):
            return batch
        return batch.rows(np.array_split(np.arange(len(batch.targets)), self.count)[self.number])

    def turns(self, items: Iterator[T]) -> Iterator[T | None]:
        """Yield this rank's item of every `count`; None for a missing last one: all ranks yield equally often."""
        while turn := list(islice(items, self.count)):
            yield turn[self.number] if self.number < len(turn) else None

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sum each value over the ranks, in float64."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        try:
            dist.all_reduce(total)
        except RuntimeError as error:
            raise self.explain(error) from error
        return list(total.tolist())

    def gather(self, value: T) -> list[T]:
        """Return the value of every rank, in the order of ranks."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        dist.all_gather_object(values, value)
        return values

    def explain(self, error: RuntimeError) -> Exception:
        """Return the error to raise for a failure of torch: a lost connection in one line, any other as it came."""
        if self.count == 1 or not any(word in str(error) for word in ("gloo", "NCCL", "onnection", "process group")):
            return error
        line = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0])  # gloo's begins with its source file
        return PennyweightError(
            f"rank {self.number} lost the connection to another rank ({line.split('. ')[0]}); "
            "run the same command with --resume to continue"
        )

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Return this rank's part of items: neighbors, nearly equally many on every rank."""
        bounds = [len(items) * number // self.count for number in (self.number, self.number + 1)]
        return items[bounds[0] : bounds[1]]

    def end_others(self) -> None:
        """End the process of every rank but 0, with exit status 0; rank 0 continues alone."""
        if self.count == 1:
            return
        dist.destroy_process_group()
        if self.number:
            raise SystemExit(0)
