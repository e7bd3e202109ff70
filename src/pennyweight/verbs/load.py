"""`load`: a classifier of a run, a bundle or a published network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Union, Unpack

from pennyweight.core.errors import InputError, PennyweightError, RunError, received
from pennyweight.core.labels import read_class_names
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.reading import reason_of
from pennyweight.core.run import Run
from pennyweight.core.run_folder import is_run_folder
from pennyweight.core.run_record import RunRecord
from pennyweight.core.travel import Origin
from pennyweight.core.usage import Usage
from pennyweight.runtime import Bundle, Classifier
from pennyweight.verbs.execution import Execution, print_note
from pennyweight.verbs.scenes.scene_run import refuse_scene_run

if TYPE_CHECKING:
    from torch import nn

    from pennyweight.deploy.graph import TorchEngine
    from pennyweight.zoo import Pretrained

__all__ = ["Trained", "checked", "classifier_of", "load", "open_trained", "preprocess_of", "restore"]

COMPILED = "torch-compiled does not compute how typical a picture is; leave the engine out, and torch does"
Trained = Union[Run, Bundle, "Pretrained"]  # the last by name: it needs torch


def load(
    run_or_bundle_or_name: str | os.PathLike[str] | Trained,
    *,
    weights: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    note: Callable[[str], None] = print_note,
    **usage: Unpack[Usage],
) -> Classifier:
    """Load a classifier: of a run, of a bundle (which needs no torch), or of a network's name with `weights`.

    Args:
        run_or_bundle_or_name: Folder that `pw.fit` made, file that `pw.export` made, either opened, or a name.
        weights: Weights for a name: "imagenet" (the best published), a tag, a file or a run, as `pw.create` takes them.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        engine: Engine of a bundle: "onnxruntime" (the default), "openvino" or "fastest", which is measured once on this
            machine. Engine of a run or a name: "torch" (the default) or "torch-compiled".
        threads: Threads of one call; by default one for each core that the process may use. torch keeps the number.
        precision: "float32" (the default), or "bfloat16" with openvino on a CPU that has it.
        note: Callback that is given a line about the fastest engine, and about torch-compiled, which computes no
            `typical`; by default it prints on standard error.
        usage: Usage of the weights, where their file does not say it or says otherwise: `stem`, `input_size` (pixels a
            side), `config`, `mean` and `std` (of pixels in 0..1), `labels` (names, a source that has them, or a .txt
            file).

    Returns:
        The classifier, with `predict`, `stream`, `labels` and `preprocess`.

    Raises:
        InputError: There is no run, bundle or network of that name, or it was trained on a scene.
        RunError: The run is incomplete or damaged.
        BundleError: The bundle is damaged, or the engine cannot execute it.
        MissingPart: The engine is not installed.
    """
    execution = Execution(engine, threads, precision, note)
    found = classifier_of(
        open_trained(run_or_bundle_or_name, weights, execution=execution, **usage), execution, max_pixels
    )
    if found.no_typicality is not None:
        note(found.no_typicality)
    return found


def classifier_of(trained: Trained, execution: Execution, max_pixels: int | None = None) -> Classifier:
    """Return the classifier of what `open_trained` opened. Raises InputError for an engine that cannot execute it."""
    if isinstance(trained, Bundle):
        return trained.classifier.with_max_pixels(max_pixels)
    if isinstance(trained, Run):
        compiled = execution.settle_torch(trained.folder)
        preprocess = preprocess_of(trained)
        with _record(trained):
            labels = tuple(trained.labels)
        held_out = None if trained.typicality is None else trained.typicality[1]
        engine = engine_of_run(trained.folder, compiled)
        if compiled and held_out is not None:
            found = Classifier(engine, labels, preprocess, no_typicality=COMPILED)
        else:
            found = Classifier(engine, labels, preprocess, held_out)
        return found.with_max_pixels(max_pixels)
    compiled = execution.settle_torch(trained.model["name"])
    from pennyweight.deploy.graph import TorchEngine  # torch, which a bundle does without

    made = TorchEngine(trained.network, trained.preprocess, compiled=compiled)
    return Classifier(made, trained.labels, trained.preprocess).with_max_pixels(max_pixels)


def engine_of_run(folder: Path, compiled: bool = False) -> TorchEngine:
    """Return the engine of a run's best weights, which travels to other processes as the run's folder."""
    from pennyweight.deploy.graph import TorchEngine

    run = Run(folder)
    origin = Origin.of(engine_of_run, run.folder, compiled, file=run.weights_path)
    training = None if run.typicality is None else run.typicality[0]
    return TorchEngine(restore(run), preprocess_of(run), origin, compiled=compiled, training=training)


def open_trained(
    what: str | os.PathLike[str] | Trained,
    weights: str | os.PathLike[str] | None = None,
    *,
    execution: Execution = Execution(),  # noqa: B008 - a value
    **usage: Unpack[Usage],
) -> Trained:
    """Open a folder as a Run, a file as a Bundle, and a name with `weights` as a Pretrained network.

    The engine of `execution` opens a bundle. Raises InputError if there is no run, bundle or network of that name, and
    RunError or BundleError for a damaged one.
    """
    if weights is None and (said := [name for name, value in usage.items() if value is not None]):
        raise InputError(
            f"{', '.join(said)} belong{'s' * (len(said) == 1)} to a network's name with weights; {what} comes without"
        )
    if isinstance(what, (Run, Bundle)) or not isinstance(what, (str, os.PathLike)):
        if weights is not None:
            raise InputError(
                f"weights belong to a network's name, such as mobilenet_v2, not to a {type(what).__name__}"
            )
        if not isinstance(what, (Run, Bundle)) and not hasattr(what, "network"):  # of a Pretrained
            raise InputError(f"a run, a bundle or a network's name was expected, not {received(what)}")
        if isinstance(what, Run):
            return checked(what)
        return execution.reopen(what) if isinstance(what, Bundle) else what
    path = Path(what)
    if weights is None and path.is_dir() and (is_run_folder(path) or not _is_name(path)):
        return checked(Run(path))
    if weights is None and path.is_file():
        return execution.open_bundle(path)
    if len(path.parts) > 1 or path.suffix == ".onnx":  # no name looks so
        if weights is not None:
            raise InputError(f"weights belong to a network's name, such as mobilenet_v2, not to {path}")
        raise InputError(
            f"no run or bundle at {path}; give a folder that `fit` made, a file that `export` made, or a network's "
            "name with weights"
        )
    from pennyweight import zoo

    if weights is not None:
        if isinstance(labels := usage.get("labels"), str):
            usage["labels"] = _labels_of(labels)
        return zoo.open_pretrained(os.fspath(what), weights, **usage)
    try:
        zoo.form(os.fspath(what))
    except InputError as error:
        raise InputError(f"no run or bundle at {path}, and {error}") from error
    raise InputError(
        f"'{what}' is a network, and nothing says which weights: add --weights imagenet, or a file, or a run"
    )


def checked(run: Run) -> Run:
    """Return the run. Raises RunError where its run.json lacks a field, or has one of another type."""
    _ = run.info
    return run


def _labels_of(place: str) -> tuple[str, ...]:
    """Read the lines of a .txt file, or the classes of a source, in order. Raises InputError, SourceError."""
    if not place.endswith(".txt"):
        from pennyweight import data

        return data.open(place).labels
    return read_class_names(place)


def _is_name(path: Path) -> bool:
    """Return True for a path that is the bare name of a network."""
    if len(path.parts) > 1:
        return False
    from pennyweight import zoo

    return path.name in zoo.names()


def preprocess_of(run: Run) -> Preprocess:
    """Return the preprocessing of a run. Raises InputError for a run of a scene, which has none."""
    refuse_scene_run(run, "predict")
    with _record(run) as record:
        return Preprocess.from_dict(dict(record.preprocess or {}))


def restore(run: Run) -> nn.Module:
    """Build a run's network with its best weights, in eval mode, without a change of torch's random state."""
    import torch

    from pennyweight import zoo
    from pennyweight.nn.weights import read_weights, require_same_shapes, take_weights

    state, name = read_weights(run.whole(run.weights_path)), str(run.weights_path)
    with _record(run) as record:
        shapes = zoo.sketch(**record.model).state_dict()
    require_same_shapes(shapes, state, name=name)  # before memory is allocated for the network of run.json
    with _record(run), torch.random.fork_rng():
        network = zoo.build(**record.model)
    take_weights(network, state, name=name)
    return network.eval()


@contextmanager
def _record(run: Run) -> Iterator[RunRecord]:
    """Yield the record of run.json. A field that is missing, or of another type, becomes a RunError with the file."""
    record = run.info
    try:
        yield record
    except ImportError:  # a part that is not installed
        raise
    except Exception as error:  # a value of any form can fail anywhere
        kind = "" if isinstance(error, PennyweightError) else f"{type(error).__name__} "
        raise RunError(f"{run.record_path} is not as `fit` wrote it: {kind}{reason_of(error)}") from error
