"""`load`: a run or a bundle as a classifier."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennyweight.core.errors import InputError, RunError
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.runtime import Bundle, Classifier

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load", "open_trained", "preprocess_of", "restore"]


def load(run_or_bundle: str | os.PathLike[str] | Run | Bundle) -> Classifier:
    """A classifier from a run's folder or a bundle's file; a bundle needs no torch.

    Raises InputError when there is neither, RunError or BundleError when it is damaged.
    """
    trained = open_trained(run_or_bundle)
    if isinstance(trained, Bundle):
        return trained.classifier
    from pennyweight.deploy.graph import TorchEngine  # torch, which a bundle does without

    preprocess = preprocess_of(trained)
    with _record(trained):
        labels = tuple(trained.labels)
    return Classifier(TorchEngine(restore(trained), preprocess), labels, preprocess)


def open_trained(run_or_bundle: str | os.PathLike[str] | Run | Bundle) -> Run | Bundle:
    """A Run for a folder, a Bundle for a file."""
    if isinstance(run_or_bundle, (Run, Bundle)):
        return run_or_bundle
    path = Path(run_or_bundle)
    if path.is_dir():
        return Run(path)
    if path.is_file():
        return Bundle(path)
    raise InputError(f"no run or bundle at {path}; give a folder that `fit` made or a file that `export` made")


def preprocess_of(run: Run) -> Preprocess:
    """How a run's pictures become its network's input."""
    with _record(run) as record:
        return Preprocess.from_dict(record["preprocess"])


def restore(run: Run) -> nn.Module:
    """The network of a run with its best weights, in eval mode; torch's random numbers stay as they are."""
    import torch

    from pennyweight import zoo
    from pennyweight.nn.weights import read_weights, take_weights

    with _record(run) as record, torch.random.fork_rng():
        network = zoo.build(**record["model"])
    take_weights(network, read_weights(run.weights_path), name=str(run.weights_path))
    return network.eval()


@contextmanager
def _record(run: Run) -> Iterator[dict[str, Any]]:
    """What run.json says; what it lacks there, or holds as something else, is a RunError that names the file."""
    try:
        yield run.record
    except (AttributeError, KeyError, TypeError) as error:
        raise RunError(f"{run.record_path} is not as `fit` wrote it: {type(error).__name__} {error}") from error
