"""From what a user names to a network that can be weighed: a name, others' networks, a run, a bundle."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import InputError, nearest
from pennyweight.core.run import Run
from pennyweight.cost.dead import dead_depthwise
from pennyweight.runtime import Bundle
from pennyweight.verbs.load import open_trained, preprocess_of, restore

__all__ = ["Weighable", "open_weighable"]

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Weighable:
    """A network in eval mode, the input it is counted on, and what else there is to say of it."""

    name: str
    model: nn.Module
    input_shape: Shape
    notes: tuple[str, ...] = ()


def open_weighable(
    name: str,
    input_shape: Sequence[int] | None = None,
    *,
    stem: zoo.Stem | None = None,
    config: Mapping[str, Any] | None = None,
    real: bool = False,
) -> Weighable:
    """What `name` stands for: a network of `names`, torchvision:NAME, timm:NAME, module.path:callable, a run, a bundle.

    Networks are made on the meta device where they can be, unless `real` values are wanted; no random number is drawn.
    Raises InputError for what is none of these, with the nearest name.
    """
    shape = tuple(input_shape) if input_shape is not None else None
    place, colon, rest = name.partition(":")
    changed = stem is not None or config
    if changed and (colon or Path(name).exists()):
        raise InputError(f"a stem or Config is for networks of `pennyweight names`, not for {name}")
    if colon and place in LIBRARIES:
        return LIBRARIES[place](name, rest, shape, real)
    if colon and rest.isidentifier():
        return _of_callable(name, place, rest, shape, real)
    if Path(name).exists() and name not in zoo.names():
        return _of_trained(name, shape, real)
    row = zoo.variant(name)
    shape = shape or row.input_shape
    model = _made(
        lambda: zoo.build(name, num_classes=row.num_classes, in_channels=shape[0], stem=stem, config=config or {}), real
    )
    return Weighable(name=name, model=model, input_shape=shape)


def _made(make: Callable[[], nn.Module], real: bool) -> nn.Module:
    """Without values where the maker allows it; in eval mode."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries, about how they initialise
        if not real:
            try:
                with torch.device("meta"):
                    return _checked(make())
            except (NotImplementedError, RuntimeError):  # some read values while they are being made
                pass
        return _checked(make())


def _checked(made: Any) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise InputError(f"a {type(made).__name__} came in place of a network; only a torch.nn.Module can be weighed")
    return made.eval()


def _of_torchvision(name: str, rest: str, shape: Shape | None, real: bool) -> Weighable:
    from torchvision import models

    known = models.list_models(module=models)  # classifiers alone
    if rest not in known:
        raise InputError(f"torchvision has no network '{rest}'{nearest(rest, known)}")
    if shape is None:
        crop = getattr(models.get_model_weights(rest).DEFAULT.transforms(), "crop_size", [224])
        shape = (3, crop[0], crop[-1])
    return Weighable(name=name, model=_made(lambda: models.get_model(rest, weights=None), real), input_shape=shape)


def _of_timm(name: str, rest: str, shape: Shape | None, real: bool) -> Weighable:
    import timm

    known = timm.list_models()
    if rest.partition(".")[0] not in known:
        raise InputError(f"timm has no network '{rest}'{nearest(rest, known)}")
    in_channels = 3 if shape is None else shape[0]
    model = _made(lambda: timm.create_model(rest, pretrained=False, in_chans=in_channels), real)
    usual = getattr(model, "default_cfg", {}).get("input_size", (3, 224, 224))
    return Weighable(name=name, model=model, input_shape=shape or tuple(usual))


def _of_callable(name: str, place: str, attribute: str, shape: Shape | None, real: bool) -> Weighable:
    """Whatever `module.path:callable` gives when called, or is if it is a network itself."""
    if shape is None:
        raise InputError(f"weighing {name} needs its input shape, for example 3x224x224")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` would find it
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise InputError(f"there is no Python module '{place}' here or among those installed ({error})") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    found = getattr(module, attribute, None)
    if found is None:
        raise InputError(f"module '{place}' has no '{attribute}'{nearest(attribute, vars(module))}")
    model = _checked(found) if isinstance(found, nn.Module) or not callable(found) else _made(found, real)
    return Weighable(name=name, model=model, input_shape=shape)


def _of_trained(name: str, shape: Shape | None, real: bool) -> Weighable:
    """A run's network with its weights; a bundle's network as its manifest describes it."""
    trained = open_trained(name)
    if isinstance(trained, Run):
        model, size = restore(trained), preprocess_of(trained)
        dead, kernels = dead_depthwise(model)
        note = f"{dead} of {kernels} depthwise kernels have died ({dead / kernels:.1%})" if kernels else ""
        usual = (size.channels, size.size, size.size)
        return Weighable(name=name, model=model, input_shape=shape or usual, notes=(note,) if note else ())
    return _of_bundle(name, trained, shape, real)


def _of_bundle(name: str, bundle: Bundle, shape: Shape | None, real: bool) -> Weighable:
    manifest = bundle.manifest
    kept = ", ".join(f"{key} {value:,}" for key, value in manifest.cost.items() if isinstance(value, int))
    size = manifest.preprocess
    return Weighable(
        name=name,
        model=_made(lambda: zoo.build(**manifest.network), real),
        input_shape=shape or (size.channels, size.size, size.size),
        notes=(f"its manifest says {kept}",) if kept else (),
    )


LIBRARIES: dict[str, Callable[[str, str, Shape | None, bool], Weighable]] = {
    "torchvision": _of_torchvision,
    "timm": _of_timm,
}
