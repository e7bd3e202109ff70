"""Public functions on hyperspectral scenes: `pw.scene`. Each is loaded when first used; a bundle's map needs no torch.

A scene is a cube (height, width, bands) with a map of labels. The functions do for one what `pw.fit`, `pw.evaluate`,
`pw.export` and `pw.load` do for pictures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pennyweight.core.extras import naming_missing_parts

if TYPE_CHECKING:
    from pennyweight.verbs.fitting.fit_seeds import fit_seeds
    from pennyweight.verbs.scenes.evaluate import evaluate
    from pennyweight.verbs.scenes.export import export
    from pennyweight.verbs.scenes.fit import fit
    from pennyweight.verbs.scenes.leakage import leakage
    from pennyweight.verbs.scenes.load import load
    from pennyweight.verbs.scenes.names import names
    from pennyweight.verbs.scenes.predict import predict

__all__ = ["evaluate", "export", "fit", "fit_seeds", "leakage", "load", "names", "predict"]

ELSEWHERE = {"fit_seeds": "verbs.fitting.fit_seeds"}
"""Module of a function that does not stand in `verbs.scenes`, in the module of its name."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with naming_missing_parts():
        return getattr(import_module(f"pennyweight.{ELSEWHERE.get(name, f'verbs.scenes.{name}')}"), name)


def __dir__() -> list[str]:
    return __all__
