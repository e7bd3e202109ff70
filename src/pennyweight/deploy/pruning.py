"""Structured pruning: remove whole channels of a trained network until it needs fewer multiply-accumulates.

torch-pruning finds the channels that go together, such as those of layers whose results are added. `channel_groups`
chooses among them, in blocks of 8: with 27 channels in place of 32, a network is slower than before.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pennyweight.core.errors import InputError
from pennyweight.core.extras import missing_part
from pennyweight.core.reading import reason_of
from pennyweight.cost import count
from pennyweight.deploy.channel_groups import CANNOT, LAYERS, ChannelGroup, choose_channels, find_groups

__all__ = ["Pruned", "prune", "require_torch_pruning"]

TOLERANCE = 1e-3
"""Largest change of an answer when channels of zeros are removed, as a share of the answers' deviation."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """Network without some of its channels."""

    network: nn.Module
    channels: tuple[int, int]
    """Channels before and after, of groups that can lose some."""
    params: tuple[int, int]
    """Parameters before and after."""
    macs: tuple[int, int]
    """Multiply-accumulates of one picture, before and after."""


def prune(network: nn.Module, shape: tuple[int, int, int], share: float, batches: Sequence[Tensor]) -> Pruned:
    """Return a copy of a network without its least important channels. It needs further training.

    Args:
        network: Network in eval mode; it is not changed.
        shape: Channels, height and width of its input.
        share: Smallest share of the multiply-accumulates that goes, above 0 and below 1.
        batches: Training pictures that tell the importance of a channel, as inputs of the network, (B, C, H, W) each.

    Returns:
        The copy in eval mode, and its costs.

    Raises:
        InputError: Channels cannot be removed from this network, or not as many.
        MissingPart: torch-pruning is not installed.
    """
    torch_pruning = require_torch_pruning()
    pruned = copy.deepcopy(network).eval().requires_grad_(True)
    before = count(network, shape)
    macs = {layer.name: layer.macs for layer in before.layers}
    example = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with _refusing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about parameters that are in no layer; find_groups refuses them
        graph = torch_pruning.DependencyGraph().build_dependency(pruned, example[:1])
        groups = find_groups(graph, pruned, _last_layer(pruned, example[:1]), batches)
        choose_channels(groups, {layer: macs.get(name, 0) for name, layer in pruned.named_modules()}, share)
        _remove(graph, [group for group in groups if group.removed], pruned, example)
        after = count(pruned, shape)
    pruned.zero_grad()
    return Pruned(
        network=pruned.requires_grad_(False),
        channels=(sum(group.width for group in groups), sum(group.left for group in groups)),
        params=(before.params, after.params),
        macs=(before.macs, after.macs),
    )


def require_torch_pruning() -> Any:
    """Return the library. Raises MissingPart where it is not installed."""
    try:
        import torch_pruning
    except ModuleNotFoundError as error:
        raise (missing_part(error) or error) from error
    return torch_pruning


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the library raises about a network into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # the library raises what Python does where it loses track of channels
        lost = f"torch-pruning does not follow its channels ({type(error).__name__}: {reason_of(error)})"
        raise InputError(CANNOT.format(reason=lost)) from error


def _last_layer(network: nn.Module, example: Tensor) -> nn.Module:
    """Return the layer that is called last: its outputs are the classes."""
    called: list[nn.Module] = []
    layers = [module for module in network.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(lambda layer, *_: called.append(layer)) for layer in layers]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return called[-1]


@torch.no_grad()
def _remove(graph: Any, groups: Sequence[ChannelGroup], network: nn.Module, example: Tensor) -> None:
    """Remove channels. Raises InputError unless the answers are those of the network with zeros in their place."""
    for group in groups:
        for dependency, indices in graph.get_pruning_group(group.root, group.handler, group.channels):
            layer = dependency.target.module
            if isinstance(layer, _BatchNorm) or graph.is_out_channel_pruning_fn(dependency.handler):
                for parameter in layer.parameters(recurse=False):
                    parameter[list(indices)] = 0
    expected = network(example)
    for group in groups:
        graph.get_pruning_group(group.root, group.handler, group.channels).prune()
    received = network(example)
    largest = TOLERANCE * max(float(expected.std()), 1e-6)
    if received.shape != expected.shape or not float((received - expected).abs().max()) <= largest:
        reason = "without its channels, torch-pruning's network answers otherwise than with zeros in their place"
        raise InputError(CANNOT.format(reason=reason))
