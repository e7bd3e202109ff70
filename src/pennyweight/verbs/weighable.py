"""Open the network to weigh: by its name, from another library, from a callable, a run or a bundle."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import InputError, PennyweightError, nearest, received
from pennyweight.core.frame import as_size
from pennyweight.core.manifest import Manifest
from pennyweight.core.run import Run
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.cost import Timed
from pennyweight.cost.counting.inputs import input_sizes
from pennyweight.cost.dead_kernels import dead_depthwise
from pennyweight.data.scenes.open import PREFIX
from pennyweight.nn.init import meta_device
from pennyweight.runtime.onnx_engine import OnnxEngine
from pennyweight.runtime.open_bundle import open_bundle
from pennyweight.runtime.scene_bundle import scene_engine
from pennyweight.verbs.load import open_trained, preprocess_of, restore
from pennyweight.verbs.scenes.scene_run import is_scene_run

__all__ = ["Weighable", "open_weighable"]

Shape = tuple[int, ...]
SMALL_INPUT = (32, 32)
CHANNELS = 4
"""Most channels of a picture: RGB with transparency."""


@dataclass(frozen=True, kw_only=True)
class Weighable:
    """Network in eval mode, with the shape of the input that it is counted on, and notes."""

    name: str
    model: nn.Module
    input_shape: Shape
    notes: tuple[str, ...] = ()
    is_named: bool = False
    """True for a network by its name, fresh; False for a run, a bundle or a callable."""
    timed: Callable[[int], Timed] | None = None
    """Function from the batch to a timed call of a bundle's own engine; None for other networks."""


def open_weighable(
    name: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    real: bool = False,
) -> Weighable:
    """Open a network of `names`, torchvision:NAME, timm:NAME, module.path:callable, a run or a bundle.

    A Path, a Run or a Bundle stands for its folder or file, even where a network has the same name. Networks are made
    on the meta device where that is possible, unless `real` values are needed; no random number is drawn. Raises
    InputError for any other name, with the nearest one.
    """
    if not isinstance(name, (str, os.PathLike)) or not os.fspath(name):
        raise InputError(f"a network's name is text such as mobilenet_v2, not {received(name)}")
    is_place = not isinstance(name, str) and Path(name).exists()
    name = os.fspath(name)
    shape = input_sizes(input_shape)[1:] if input_shape is not None else None
    place, colon, rest = name.partition(":")
    named = not is_place and (name in zoo.names() or place in zoo.LIBRARIES)
    if not named and (stem is not None or config):
        raise InputError(f"a stem or Config is for networks by name, not for {name}")
    if colon and not named and not is_place and all(part.isidentifier() for part in rest.split(".")):
        return _of_callable(name, place, rest, shape, real)
    if Path(name).exists() and not named:
        return _of_trained(name, shape, real)
    if not named and (os.sep in name or Path(name).suffix in (".onnx", ".pth", ".safetensors")):
        raise InputError(f"there is no {name}; what can be weighed: a network's name, a run's folder, a bundle's file")
    usual = zoo.form(name)
    small = stem == "cifar" and stem != usual.stem
    chosen = f"counted on {'x'.join(map(str, usual.input_shape))}, the input that {place} gives for its best weights"
    notes = (chosen,) if shape is None and place in zoo.LIBRARIES else ()
    shape = shape or ((usual.input_shape[0], *SMALL_INPUT) if small else usual.input_shape)
    _require_image(shape)
    how: dict[str, Any] = {
        "num_classes": None,  # as published
        "in_channels": shape[0],
        "stem": stem,
        "config": zoo.settle(name, config or {}, size=as_size(shape[1:])),
    }
    model = _made(lambda: zoo.build(name, **how), real) if real else zoo.on_meta(lambda: zoo.build(name, **how)).eval()
    return Weighable(name=name, model=model, input_shape=shape, notes=notes, is_named=True)


def _require_image(shape: Shape) -> None:
    """Raise InputError unless a shape is (channels, height, width): 224x224x3 has its channels last."""
    given = "x".join(map(str, shape))
    if len(shape) != 3:
        raise InputError(f"networks by name take channels, height and width, such as 3x224x224, not {given}")
    if shape[2] <= CHANNELS < shape[0] == shape[1]:
        meant = "x".join(map(str, (shape[2], *shape[:2])))
        raise InputError(f"an input has its channels first; did you mean {meant} in place of {given}?")


def _made(make: Callable[[], nn.Module], real: bool) -> nn.Module:
    """Make a network in eval mode, on the meta device where the maker allows it and values are not needed."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from other libraries, about their initialization
        if not real:
            try:
                with meta_device():
                    return _checked(make())
            except (NotImplementedError, RuntimeError):  # some read values while they are being made
                pass
        return _checked(make())


def _checked(made: Any) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise InputError(
            f"something of type {type(made).__name__} came in place of a network; only a torch.nn.Module can be weighed"
        )
    return made.eval()


def _of_callable(name: str, place: str, attribute: str, shape: Shape | None, real: bool) -> Weighable:
    """Open `module.path:callable`: call it, or take it where it is a network itself."""
    sys.path.insert(0, str(Path.cwd()))  # where `python -m` looks first
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if name.startswith(PREFIX):
            raise InputError(
                f"{name} is a scene, not a network; weigh one that classifies scenes: hybrid_sn"
            ) from error
        meant = nearest(place, zoo.LIBRARIES)
        raise InputError(
            f"there is no Python module '{place}' here or among those installed ({error}){meant}"
        ) from error
    except Exception as error:  # other people's code raises anything
        raise InputError(f"module '{place}' cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    found: Any = module
    for part in attribute.split("."):
        where, found = found, getattr(found, part, None)
        if found is None:
            raise InputError(f"module '{place}' has no '{attribute}'{nearest(part, vars(where))}")
    if shape is None:
        raise InputError(f"weighing {name} needs its input shape, for example 3x224x224")
    try:
        model = _checked(found) if isinstance(found, nn.Module) or not callable(found) else _made(found, real)
    except PennyweightError:
        raise
    except Exception as error:  # other people's code raises anything
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{name} is called without arguments to make a network; it raised {said}") from error
    return Weighable(name=name, model=model, input_shape=shape)


def _of_trained(name: str, shape: Shape | None, real: bool) -> Weighable:
    """Open a run's network with its weights, or a bundle's network as its manifest describes it."""
    if Path(name).is_file():
        return _of_bundle(name, shape, real)
    run = open_trained(name)
    assert isinstance(run, Run)  # a folder is a run's
    model = restore(run)
    if is_scene_run(run):
        usual = _window(run.info.model, run.info.of_scene.window)
    else:
        preprocess = preprocess_of(run)
        usual = (preprocess.channels, *preprocess.sides)
    dead, kernels = dead_depthwise(model)
    note = f"{dead} of {kernels} depthwise kernels have died ({dead / kernels:.1%})" if kernels else ""
    return Weighable(name=name, model=model, input_shape=shape or usual, notes=(note,) if note else ())


def _of_bundle(name: str, shape: Shape | None, real: bool) -> Weighable:
    manifest = open_bundle(Path(name)).manifest
    kept = ""
    if isinstance(manifest, SceneManifest):
        usual = _window(manifest.network, manifest.window)
    else:
        preprocess = manifest.preprocess
        usual = (preprocess.channels, *preprocess.sides)
        kept = ", ".join(f"{key} {value:,}" for key, value in manifest.cost.items() if isinstance(value, int))
        if isinstance(missing := manifest.cost.get("uncounted"), dict) and missing:
            kept += f", not counted: {', '.join(map(str, missing))}"
    return Weighable(
        name=name,
        model=_made(lambda: zoo.build(**_buildable(manifest.network)), real),
        input_shape=shape or usual,
        notes=(f"its manifest says {kept}",) if kept else (),
        timed=partial(_on_its_engine, Path(name), manifest, shape or usual, usual),
    )


def _on_its_engine(path: Path, manifest: Manifest | SceneManifest, shape: Shape, own: Shape, batch: int) -> Timed:
    """Return a bundle's call on a random input, with torch's number of threads. Raises InputError for another input."""
    if shape != own:
        given, only = ("x".join(map(str, sizes)) for sizes in (shape, own))
        raise InputError(f"{path} is measured with its own inputs of {only}, not {given}; leave --input-shape out")
    engine = OnnxEngine(path, threads=torch.get_num_threads())
    channels, height, width = own
    draw = np.random.default_rng(0)
    if isinstance(manifest, SceneManifest):  # a tile that holds `batch` windows
        tile = draw.standard_normal((height, width + batch - 1, channels), np.float32)
        return Timed(partial(scene_engine(engine, manifest), tile), engine.name)
    return Timed(partial(engine, draw.integers(0, 256, (batch, height, width, channels), np.uint8)), engine.name)


def _window(network: Mapping[str, Any], side: int) -> Shape:
    """Return the input shape (channels, side, side) of a scene's network."""
    return (network["in_channels"], side, side)


def _buildable(network: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network of a manifest as `zoo.build` takes it, without the origin of its weights."""
    return {key: value for key, value in network.items() if key != "weights"}
