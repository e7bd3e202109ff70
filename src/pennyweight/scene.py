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
    from pennyweight.verbs.scenes.evaluate import evaluate_scene as evaluate
    from pennyweight.verbs.scenes.export import export_scene as export
    from pennyweight.verbs.scenes.fit import fit_scene as fit
    from pennyweight.verbs.scenes.leakage import measure_leakage as leakage
    from pennyweight.verbs.scenes.load import load_mapper as load
    from pennyweight.verbs.scenes.names import scene_names as names
    from pennyweight.verbs.scenes.predict import predict_scene as predict

__all__ = ["evaluate", "export", "fit", "fit_seeds", "leakage", "load", "names", "predict"]

PLACES = {
    "evaluate": ("verbs.scenes.evaluate", "evaluate_scene"),
    "export": ("verbs.scenes.export", "export_scene"),
    "fit": ("verbs.scenes.fit", "fit_scene"),
    "fit_seeds": ("verbs.fitting.fit_seeds", "fit_seeds"),
    "leakage": ("verbs.scenes.leakage", "measure_leakage"),
    "load": ("verbs.scenes.load", "load_mapper"),
    "names": ("verbs.scenes.names", "scene_names"),
    "predict": ("verbs.scenes.predict", "predict_scene"),
}
"""Public name -> module below `pennyweight`, and the function there."""


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = PLACES[name]
    with naming_missing_parts():
        return getattr(import_module(f"pennyweight.{module}"), function)


def __dir__() -> list[str]:
    return __all__
