"""Linear probe: train the last layer on features. The frozen rest of the network computes them once per picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Batch, Pictures
from pennyweight.data.augment.draws import shuffled
from pennyweight.data.balance import balanced_count, balanced_order
from pennyweight.nn import Network
from pennyweight.nn.ends import ends
from pennyweight.train.feature_cache import NullFeatureCache
from pennyweight.train.precision import apply_memory_format, autocast, make_inputs
from pennyweight.train.recipe import Recipe

__all__ = ["BATCH", "Features", "compute_features", "extract_features", "find_last_linear"]

BATCH = 16
"""Pictures in one forward pass: with VGG-16 too a signal takes effect within seconds. A CPU is no faster with more."""


class Features:
    """Training set of a linear probe: inputs of the last linear layer, (views, N, features), and classes, (views, N).

    With `sampled`, an epoch has equally many pictures of each class.
    """

    def __init__(self, values: NDArray[np.float32], targets: NDArray[np.int64], *, sampled: bool = False) -> None:
        self.values, self.targets, self.sampled = values, targets, sampled

    def __len__(self) -> int:
        return int(self.targets.shape[1])

    def steps(self, batch: int) -> int:
        """Return the number of batches in an epoch, as `Pictures.steps` does."""
        shown = balanced_count(self.targets[0]) if self.sampled else len(self)
        return max(1, min(-(-shown // batch), shown // 2))

    def epoch(
        self,
        epoch: int,
        *,
        batch: int,
        seed: int,
        augment: Augment,
        device: torch.device | None = None,
        start: int = 0,
    ) -> Iterator[Batch]:
        """Yield the batches of an epoch in an order drawn from (seed, epoch).

        Each picture comes once, or with `sampled` as often as balances the classes. Epochs take the augmented views in
        turn.
        """
        view = (epoch - 1) % len(self.values)
        if self.sampled:
            order, _ = balanced_order(self.targets[view], seed=seed, epoch=epoch)
        else:
            order = shuffled(seed, epoch, np.arange(len(self)))
        for rows in np.array_split(order, self.steps(batch))[start:]:
            yield Batch(self.values[view, rows], self.targets[view, rows])

    def rows(self, which: NDArray[np.bool_]) -> Features:
        """Return the features of some of the pictures, (N,)."""
        return Features(self.values[:, which], self.targets[:, which], sampled=self.sampled)

    def unshuffled(self, seed: int) -> Features:
        """Return augmented views in the order of the pictures; `extract_features` has them in that of an epoch."""
        values, targets = np.empty_like(self.values), np.empty_like(self.targets)
        for view in range(len(values)):
            order = shuffled(seed, view + 1, np.arange(len(self)))
            values[view, order], targets[view, order] = self.values[view], self.targets[view]
        return Features(values, targets, sampled=self.sampled)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Yield every picture of the first view once, in order."""
        for start in range(0, len(self), batch):
            rows = slice(start, start + batch)
            yield Batch(self.values[0, rows], self.targets[0, rows])  # type: ignore[arg-type]


def find_last_linear(network: nn.Module) -> nn.Linear:
    """Return the linear layer that computes the logits. Raises InputError if the network has none, or several heads."""
    if isinstance(network, Network):
        layer = network.head.linear
        assert isinstance(layer, nn.Linear)
        return layer
    heads = ends(network).heads
    if len(heads) > 1:
        raise InputError(
            f"{type(network).__name__} has {len(heads)} heads ({', '.join(heads)}), none of which can be trained "
            "alone; --mode scratch trains the whole network"
        )
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise InputError(
            f"{type(network).__name__} has no linear layer to train alone; --mode scratch trains the whole network"
        )
    return layers[-1]


def compute_features(network: nn.Module, x: Tensor, recipe: Recipe) -> Tensor:
    """Compute the inputs of the last linear layer for `x`, in the recipe's precision. (B, C, H, W) -> (B, features)"""
    seen: list[Tensor] = []
    hook = find_last_linear(network).register_forward_pre_hook(lambda layer, args: seen.append(args[0].float().cpu()))
    try:
        with torch.inference_mode(), autocast(recipe, x.device):
            network(x)
    finally:
        hook.remove()
    return seen.pop()


def extract_features(
    network: nn.Module,
    pictures: Pictures,
    recipe: Recipe,
    *,
    views: int,
    seed: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda count: None,
    kept: NullFeatureCache | None = None,
) -> Features:
    """Compute the features of every picture with the network in eval mode.

    Args:
        network: The network; it is moved to `device`.
        pictures: The pictures.
        recipe: Gives precision, layout and augmentation.
        views: Number of augmented views of each picture; 0 computes one view without augmentation.
        seed: Seed of the augmentation.
        device: Device that computes.
        advance: Function called with n after every n pictures.
        kept: Cache of features on disk, which are not computed again.

    Returns:
        Features of all pictures, (max(views, 1), N, features); an augmented view in the order of its epoch.

    Raises:
        InputError: The input of the last linear layer is not one row per picture.
    """
    kept = kept or NullFeatureCache()
    preprocess: Preprocess = pictures.preprocess
    apply_memory_format(network.to(device), recipe)
    inputs = make_inputs(preprocess, recipe, device)
    augment = replace(recipe.augment, mixup=0.0, cutmix=0.0)  # a row of features has a single class
    rounds = [pictures.epoch(view, batch=BATCH, seed=seed, augment=augment) for view in range(1, views + 1)]
    # Features are computed once per picture, however often a balanced epoch shows it.
    balance, pictures.balance = pictures.balance, None
    digests = "".join(sample.digest for sample in pictures.samples)
    rows = kept.read(f"{sha256(digests.encode()).hexdigest()} in {views} views")
    if rows:
        advance(sum(len(targets) for _, targets in rows))
    network.eval()
    try:
        for batch in islice(chain.from_iterable(rounds or [pictures.in_order(BATCH)]), len(rows), None):
            rows.append((compute_features(network, inputs(batch)[0], recipe).numpy(), batch.targets))
            advance(len(batch.targets))
            kept.add(rows[-1])
    finally:
        pictures.balance = balance
    kept.end()
    values = np.concatenate([features for features, _ in rows])
    if values.ndim != 2:
        raise InputError(
            f"the last linear layer of {type(network).__name__} takes {values.ndim - 1} dimensions of each picture, "
            "not one row of features; --mode scratch trains the whole network"
        )
    shape = (max(views, 1), len(pictures))
    sampled = balance is not None and balance.how == "sampling"
    return Features(values.reshape(*shape, -1), np.concatenate([t for _, t in rows]).reshape(shape), sampled=sampled)
