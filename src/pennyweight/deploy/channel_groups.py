"""Groups of channels that are removed together, their importance, and the choice of those that go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.figures import share as percent

__all__ = ["CANNOT", "LAYERS", "ChannelGroup", "choose_channels", "find_groups"]

CANNOT = (
    "this network cannot be pruned: {reason}. MobileNets, EfficientNets, ResNets, ResNeXts and VGGs can; nothing was "
    "written"
)
BLOCK = 8
"""Channels that remain in a group are a multiple of it: engines compute channels in blocks."""
LEAST_LEFT = 0.1
"""Smallest share of a group's channels that remains."""
DRAWS = 2
"""Draws of signs for a batch."""
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
DEPENDENT = (nn.LayerNorm, nn.GroupNorm)
"""Layers whose result for one channel depends on the others, so that a channel of zeros cannot go."""


class _Side(NamedTuple):
    """Input or output of a layer."""

    layer: Any
    side: str
    """ "in" or "out"."""

    @property
    def channels(self) -> int:
        """Return the channels that the layer has here."""
        if isinstance(self.layer, nn.Linear):
            return self.layer.in_features if self.side == "in" else self.layer.out_features
        return int(self.layer.in_channels if self.side == "in" else self.layer.out_channels)


@dataclass(kw_only=True)
class ChannelGroup:
    """Channels of several layers, each of which is removed from all of these layers or from none.

    A grouped convolution divides the channels into sections. Each section loses the same offsets.
    """

    root: nn.Module
    handler: Any
    order: list[int]
    """Offsets within a section, the least important one first."""
    importance: list[float]
    """Importance of the offsets in that order."""
    sections: int
    taken: Mapping[_Side, float]
    """Channels that the removal of one offset takes from each side of a layer."""
    removed: int = field(default=0)
    """Number of offsets that go."""

    @property
    def width(self) -> int:
        """Return the channels before pruning."""
        return len(self.order) * self.sections

    @property
    def left(self) -> int:
        """Return the channels that remain."""
        return (len(self.order) - self.removed) * self.sections

    @property
    def step(self) -> int:
        """Return the offsets of the next block; 0 where no more can go."""
        left, unit = len(self.order) - self.removed, BLOCK // math.gcd(BLOCK, self.sections)
        after = (left - 1) // unit * unit
        return left - after if after >= max(1, LEAST_LEFT * len(self.order)) else 0

    @property
    def channels(self) -> list[int]:
        """Return the numbers of the channels that go."""
        offsets = self.order[: self.removed]
        return sorted(section * len(self.order) + offset for section in range(self.sections) for offset in offsets)


def find_groups(graph: Any, network: nn.Module, last: nn.Module, batches: Sequence[Tensor]) -> list[ChannelGroup]:
    """Return the groups of channels that can be removed.

    The importance of a channel is the change of the logits without it, in the first order: gradient times value of the
    weights that take it, squared, and summed over batches. Molchanov et al. 2019, arXiv:1906.10771, take the loss. It
    has hardly a gradient where a network knows its training pictures by heart. Random signs join the logits to one
    number, whose squared change has the expectation of theirs.

    Args:
        graph: Dependency graph of the network.
        network: Network in eval mode, whose gradients are overwritten.
        last: Layer whose outputs stay.
        batches: Training pictures as inputs of the network, (B, C, H, W) each.

    Raises:
        InputError: The network has channels that depend on each other.
    """
    found = list(graph.get_all_groups(ignored_layers=[last], root_module_types=list(LAYERS)))
    for group in found:
        for dependency, _ in group:
            if isinstance(dependency.target.module, (*DEPENDENT, nn.Parameter)):
                reason = "its layers normalize over channels, or add parameters to them, as Transformers do"
                raise InputError(CANNOT.format(reason=reason))
    importance = [torch.zeros(len(group[0][1])) for group in found]
    draw = torch.Generator().manual_seed(0)
    for batch in batches:
        for _ in range(DRAWS):
            network.zero_grad()
            logits = network(batch)
            signs = torch.randint(2, logits.shape, generator=draw).to(logits) * 2 - 1
            torch.autograd.backward((logits * signs).sum())
            for group, total in zip(found, importance, strict=True):
                total += _first_order(group, graph).cpu().square()
    return [_group(group, graph, each) for group, each in zip(found, importance, strict=True)]


@torch.no_grad()
def _first_order(group: Any, graph: Any) -> Tensor:
    """Return the change of what was differentiated, in the first order, without each channel. (width,)"""
    change = torch.zeros(len(group[0][1]))
    for item in group:
        dependency, indices = item
        layer = dependency.target.module
        if not isinstance(layer, LAYERS) or graph.is_out_channel_pruning_fn(dependency.handler):
            continue
        assert layer.weight.grad is not None
        product = (layer.weight * layer.weight.grad).cpu()
        if isinstance(layer, nn.Linear):
            effect = product.sum(0)
        else:
            rows, inside = product.shape[0] // layer.groups, product.shape[1]
            effect = product.reshape(layer.groups, rows, inside, -1).sum((1, 3)).flatten()
        change.index_add_(0, torch.as_tensor(item.root_idxs), effect[torch.as_tensor(indices)])
    return change


def _group(found: Any, graph: Any, importance: Tensor) -> ChannelGroup:
    """Return a group with its offsets in the order of their importance."""
    sections = max(_sections(dependency.target.module) for dependency, _ in found)
    offsets = importance.view(sections, -1).sum(0)
    order = offsets.argsort(stable=True)
    taken: dict[_Side, float] = {}
    for dependency, indices in found:
        layer = dependency.target.module
        if isinstance(layer, LAYERS):
            side = _Side(layer, "out" if graph.is_out_channel_pruning_fn(dependency.handler) else "in")
            taken[side] = taken.get(side, 0.0) + len(indices) / len(order)
    return ChannelGroup(
        root=found[0][0].target.module,
        handler=found[0][0].handler,
        order=order.tolist(),
        importance=offsets[order].tolist(),
        sections=sections,
        taken=taken,
    )


def _sections(layer: Any) -> int:
    """Return the groups of a grouped convolution; 1 for a depthwise convolution and for other layers."""
    groups = getattr(layer, "groups", 1)
    return 1 if _is_depthwise(layer) else int(groups)


def _is_depthwise(layer: Any) -> bool:
    return getattr(layer, "groups", 1) > 1 and layer.groups == layer.in_channels == layer.out_channels


def choose_channels(groups: Sequence[ChannelGroup], macs: Mapping[nn.Module, int], share: float) -> None:
    """Choose how many offsets each group loses, one block after the other.

    The next block is that of the smallest importance for each multiply-accumulate that it saves.

    Args:
        groups: The groups, whose `removed` is set.
        macs: Multiply-accumulates of each layer.
        share: Share of all multiply-accumulates that go.

    Raises:
        InputError: Not as many can go.
    """
    work = _Work(groups, macs)
    whole = work.macs
    while work.macs > (1 - share) * whole:
        open_groups = [group for group in groups if group.step]
        if not open_groups:
            raise InputError(
                f"pruning can save {percent(1 - work.macs / whole)} of this network's multiply-accumulates, not "
                f"{percent(share)}: channels go in blocks of {BLOCK}, and some remain; ask for less"
            )
        work.remove(min(open_groups, key=work.rate))


class _Work:
    """Multiply-accumulates of a network whose layers lose channels."""

    def __init__(self, groups: Sequence[ChannelGroup], macs: Mapping[nn.Module, int]) -> None:
        self._left = {side: float(side.channels) for group in groups for side in group.taken}
        self._whole = macs
        self.macs = float(sum(macs.values()))
        self._saved = {id(group): self._saving(group) for group in groups}
        self._sharing: dict[Any, list[ChannelGroup]] = {}
        for group in groups:
            for layer in {side.layer for side in group.taken}:
                self._sharing.setdefault(layer, []).append(group)

    def rate(self, group: ChannelGroup) -> float:
        """Return the importance of a group's next block for each multiply-accumulate that it saves."""
        return sum(group.importance[group.removed : group.removed + group.step]) / max(self._saved[id(group)], 1.0)

    def remove(self, group: ChannelGroup) -> None:
        """Remove a group's next block."""
        self.macs -= self._saved[id(group)]
        for side, channels in group.taken.items():
            self._left[side] -= group.step * channels
        group.removed += group.step
        for other in {id(each): each for side in group.taken for each in self._sharing[side.layer]}.values():
            self._saved[id(other)] = self._saving(other)

    def _saving(self, group: ChannelGroup) -> float:
        """Return the multiply-accumulates that a group's next block saves."""
        saved = 0.0
        for layer in {side.layer for side in group.taken}:
            now, after = 1.0, 1.0
            for side in _sides(layer):
                if side in self._left:
                    left = self._left[side]
                    now *= left / side.channels
                    after *= (left - group.step * group.taken.get(side, 0.0)) / side.channels
            saved += self._whole.get(layer, 0) * (now - after)
        return saved


def _sides(layer: Any) -> Iterator[_Side]:
    """Yield the sides of a layer that its multiply-accumulates are proportional to."""
    yield _Side(layer, "out")
    if not _is_depthwise(layer):
        yield _Side(layer, "in")
