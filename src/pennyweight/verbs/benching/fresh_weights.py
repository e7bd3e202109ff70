"""Fresh weights in a file, so that a name without weights is opened like one with them."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.nn.weights import save_weights

__all__ = ["write_fresh_weights"]

MOST_CHANNELS = 4


def write_fresh_weights(name: str, path: Path) -> Path:
    """Write the weights of a freshly initialized network, seeded. Raises InputError for an unknown network."""
    try:
        usual = zoo.form(name)
    except InputError as error:
        raise InputError(f"no run or bundle at {os.fspath(name)}, and {error}") from error
    if usual.input_shape[0] > MOST_CHANNELS:
        raise InputError(f"'{name}' takes windows of a hyperspectral cube; bench times networks for pictures")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_weights(path, zoo.create(name), {})
    return path
