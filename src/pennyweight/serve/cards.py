"""Description of a model for the page and for programs: the facts of its manifest and its classes."""

from __future__ import annotations

from typing import Any

from pennyweight.core.figures import fine_share
from pennyweight.core.text import as_utf8
from pennyweight.report.model_card import bundle_facts
from pennyweight.serve.models import Model

__all__ = ["describe"]


def describe(model: Model) -> dict[str, Any]:
    """Return name, version, facts and classes of a model as JSON values."""
    height, width, channels = model.classifier.preprocess.shape
    facts = [
        [as_utf8(name), as_utf8(text)] for name, text in bundle_facts(model.manifest, model.path.name, model.file_bytes)
    ]
    calibration, rule = model.classifier.calibration, model.classifier.stranger_rule
    least = None if calibration is None else rule.limit(calibration)
    return {
        "name": model.name,
        "version": model.version,
        "sha256": model.sha256,
        "loaded": model.loaded,
        "network": str(model.manifest.network.get("name", "")),
        "input": {"height": height, "width": width, "channels": channels},
        "strangers": None if least is None else f"{rule.strangers} at {fine_share(least)} or less typical",
        "facts": facts,
        "labels": [as_utf8(label) for label in model.labels],
    }
