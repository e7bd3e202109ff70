"""Registry: from a name to a network. A family is one row here; its variants stand in its own file.

`torchvision:NAME` and `timm:NAME` are networks of other libraries, accepted wherever a name is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from pennyweight.core.errors import InputError, PennyweightError, nearest
from pennyweight.core.frame import Size
from pennyweight.core.reading import reason_of
from pennyweight.core.settings import override, parse
from pennyweight.nn import Network
from pennyweight.nn.network import require_count
from pennyweight.zoo import (
    efficientnet,
    hybrid_sn,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    resnet_9,
    resnext,
    shufflenet_v1,
    shufflenet_v2,
    spectral_mlp,
    vgg,
    vit,
    window_cnn,
)
from pennyweight.zoo.libraries import LIBRARIES, foreign, open_library
from pennyweight.zoo.variant import Variant
from pennyweight.zoo.weights.published import BEST, PUBLISHED

__all__ = [
    "FAMILIES",
    "Family",
    "Form",
    "Stem",
    "build",
    "form",
    "names",
    "require_tag",
    "settle",
    "tags",
    "variant",
]

Stem = Literal["imagenet", "cifar"]
MOST_MODULES = 10_000
"""Largest number of modules in a network; the largest published networks have a few thousand."""


@dataclass(frozen=True)
class Family:
    """A family's title, its network and its table of variants."""

    title: str
    network: Callable[..., Network]
    variants: Mapping[str, Variant[Any]]


FAMILIES = (
    Family("MobileNetV1", mobilenet_v1.MobileNetV1, mobilenet_v1.VARIANTS),
    Family("MobileNetV2", mobilenet_v2.MobileNetV2, mobilenet_v2.VARIANTS),
    Family("ShuffleNetV1", shufflenet_v1.ShuffleNetV1, shufflenet_v1.VARIANTS),
    Family("ShuffleNetV2", shufflenet_v2.ShuffleNetV2, shufflenet_v2.VARIANTS),
    Family("EfficientNet", efficientnet.EfficientNet, efficientnet.VARIANTS),
    Family("ResNet-9", resnet_9.ResNet9, resnet_9.VARIANTS),
    Family("ResNet", resnet.ResNet, resnet.VARIANTS),
    Family("ResNeXt", resnext.ResNeXt, resnext.VARIANTS),
    Family("VGG", vgg.VGG, vgg.VARIANTS),
    Family("ViT", vit.ViT, vit.VARIANTS),
    Family("HybridSN", hybrid_sn.HybridSN, hybrid_sn.VARIANTS),
    Family("WindowCNN", window_cnn.WindowCNN, window_cnn.VARIANTS),
    Family("SpectralMLP", spectral_mlp.SpectralMLP, spectral_mlp.VARIANTS),
)
_BY_NAME = {name: family for family in FAMILIES for name in family.variants}


class Form(NamedTuple):
    """Input shape, number of classes and stem that a network is published with, which are the defaults."""

    input_shape: tuple[int, int, int]
    num_classes: int
    """Number of classes; 0 for another library's network without a head."""
    stem: str


def names(pattern: str = "*") -> list[str]:
    """Return the names that `create` takes, in the order of the tables.

    Args:
        pattern: Shell pattern, such as `*v2*`. The names of another library are listed for a pattern that begins with
            the library: `torchvision:*`, `timm:resnet*`.

    Returns:
        All names that match, each once.
    """
    prefix, colon, theirs = pattern.partition(":")
    if colon and prefix in LIBRARIES:
        return [f"{prefix}:{name}" for name in open_library(prefix).names() if fnmatchcase(name, theirs)]
    return [name for name in _BY_NAME if fnmatchcase(name, pattern)]


def variant(name: str) -> Variant[Any]:
    """Return the table row of a name of ours. Raises InputError with the nearest name."""
    if name not in _BY_NAME:
        hint = nearest(name, _BY_NAME, otherwise="; `pennyweight names` lists them")
        raise InputError(f"unknown network '{name}'{hint}")
    return _BY_NAME[name].variants[name]


def form(name: str) -> Form:
    """Return the form that a network is published in. Raises InputError for an unknown name."""
    if (other := foreign(name)) is not None:
        return Form(other.library.input_shape(other.name), other.library.num_classes(other.name), "imagenet")
    row = variant(name)
    return Form(row.input_shape, row.num_classes, row.stem)


def tags(name: str) -> Mapping[str, float | None]:
    """Return the tags of the weights published for a network, with their ImageNet accuracy in % if known."""
    if (other := foreign(name)) is not None:
        return other.library.tags(other.name)
    return {tag: row.top1 for tag, row in PUBLISHED.get(name, {}).items()}


def require_tag(name: str, tag: str, *, words: Iterable[str] = ()) -> None:
    """Raise InputError, with the nearest tag, unless weights of `name` are published under the tag.

    `words` are other values that the caller accepts, such as "none".
    """
    known = tags(name)
    if known and tag in (BEST, *known):
        return
    if known:
        there = f"; there are {BEST}, {', '.join(known)}"
        raise InputError(f"'{name}' has no weights '{tag}'{nearest(tag, (BEST, *known, *words), otherwise=there)}")
    hint = nearest(tag, words) or nearest(name, PUBLISHED, otherwise="; give a file, or train it")
    raise InputError(f"there are no published weights for '{name}'{hint}")


def settle(name: str, config: Mapping[str, Any], *, size: Size) -> dict[str, Any]:
    """Return `config` with its values converted, and with the input size for networks of fixed size.

    Raises InputError for an unknown field, with the nearest one.
    """
    if (other := foreign(name)) is not None:
        return other.library.size_setting(other.name, size) | {key: parse(value) for key, value in config.items()}
    row = variant(name)
    if hasattr(row.config, "size"):
        config = {"size": size, **config}
    resolved = _override(name, config)
    return {key: getattr(resolved, key) for key in config}


def build(
    name: str, *, num_classes: int | None, in_channels: int | None, stem: str | None, config: Mapping[str, Any]
) -> nn.Module:
    """Make a fresh network from values as run.json saves them.

    A field of `config` never stands for another argument. None stands for the published head, channels and stem.
    """
    other, published = foreign(name), form(name)
    usual = published.stem
    stem = usual if stem is None else stem
    if stem not in get_args(Stem):
        hint = nearest(stem, get_args(Stem), otherwise=f"; there are {', '.join(get_args(Stem))}")
        raise InputError(f"unknown stem '{stem}'{hint}")
    in_channels = published.input_shape[0] if in_channels is None else require_count("in_channels", in_channels)
    if num_classes is not None:
        num_classes = require_count("num_classes", num_classes, least=0)
    if other is not None:
        if stem != usual:
            raise InputError(f"'{name}' has no stem '{stem}': only our own networks have small-image stems")
        with _limit_modules(name), _catch_library_errors(name, config):
            return other.library.make(other.name, num_classes=num_classes, in_channels=in_channels, config=config)
    resolved = _override(name, config)
    _check(resolved)
    classes = published.num_classes if num_classes is None else num_classes
    with _limit_modules(name):
        network = _BY_NAME[name].network(resolved, num_classes=classes, in_channels=in_channels, stem=stem)
    network.config, network.stem_form = resolved, stem
    return network


def _override(name: str, config: Mapping[str, Any]) -> Any:
    """Return the Config of a network of ours with changed fields. Raises InputError for an unknown field."""
    settings = variant(name).config
    if "output_stride" in config and not hasattr(settings, "output_stride"):
        having = [
            family.title for family in FAMILIES if "output_stride" in vars(next(iter(family.variants.values())).config)
        ]
        raise InputError(f"'{name}' has no output_stride: only {', '.join(having)} have a dilated form")
    return override(settings, config, what="Config")


@contextmanager
def _limit_modules(name: str) -> Iterator[None]:
    """Raise InputError if a network made inside has more than MOST_MODULES modules, or exceeds the memory.

    A Config may come from a stranger's file, and a billion blocks would take days to make.
    """
    made = 0

    def count(module: nn.Module, attribute: str, child: nn.Module | None) -> None:
        nonlocal made
        made += 1
        if made > MOST_MODULES:
            raise InputError(f"'{name}' with this Config has more than {MOST_MODULES:,} modules; take fewer blocks")

    handle = register_module_module_registration_hook(count)
    try:
        yield
    except NotImplementedError:  # on the meta device: `on_meta` handles it
        raise
    except (MemoryError, OverflowError, RuntimeError) as error:
        raise InputError(f"'{name}' cannot be made with this Config: {reason_of(error)}") from error
    finally:
        handle.remove()


@contextmanager
def _catch_library_errors(name: str, config: Mapping[str, Any]) -> Iterator[None]:
    """Raise InputError, in one line, for any error that another library's constructor raises inside.

    On the meta device a constructor that computes with values fails; that raises NotImplementedError, which `sketch`
    handles.
    """
    try:
        yield
    except (PennyweightError, ImportError):
        raise
    except Exception as error:  # constructors also raise AssertionError, KeyError and ZeroDivisionError
        computes = isinstance(error, NotImplementedError) or "meta" in str(error)
        if computes and torch.get_default_device().type == "meta":
            raise NotImplementedError(f"the constructor of '{name}' computes with values") from error
        library, _, theirs = name.partition(":")
        kind, reason = type(error).__name__, reason_of(error)
        detail = (
            reason if isinstance(error, (TypeError, ValueError, RuntimeError)) or reason == kind else f"{kind} {reason}"
        )
        raise InputError(f"{library} cannot make '{theirs}' with {dict(config)}: {detail}") from error


def _check(config: Any) -> None:
    """Check the rules for fields with the same name in every family."""
    width = getattr(config, "width", 1.0)
    if not (math.isfinite(width) and width > 0):
        raise InputError(f"Config field 'width' must be above 0, not {width}; 0.25 to 1.4 are usual")
    for name in ("dropout", "drop_path"):
        share = getattr(config, name, 0.0)
        if not 0 <= share < 1:
            raise InputError(f"Config field '{name}' must be at least 0 and below 1, not {share}")
    for field in fields(config):
        value = getattr(config, field.name)
        rows = value if isinstance(value, tuple) else (value,)
        counts = [count for row in rows for count in (row if isinstance(row, tuple) else (row,))]
        least = 0 if field.name == "residual_blocks" else 1
        if not counts or any(isinstance(count, int) and count < least and count is not False for count in counts):
            raise InputError(f"Config field '{field.name}' must be at least {least}, not {value}")
