"""Predictions of a bundle on Ray Data: `pw.ray`. The workers need this package and no torch."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pennyweight.core.extras import naming_missing_parts
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.shipping import COLUMNS, classifier_of, name_on_workers, require_top, rows_of

__all__ = ["Predictor"]


class Predictor:
    """Class that Ray Data's `map_batches` makes on each of its actors, with the bundle of `shipped`.

    A batch has the columns of `ray.data.read_binary_files(…, include_paths=True)`: `path`, and the bytes of picture
    files in `bytes`.
    """

    def __init__(self, name: str, content: Any, top: int = 5) -> None:
        import ray

        self._folder = tempfile.TemporaryDirectory(prefix="pennyweight-ray-")
        path = Path(self._folder.name, name)
        path.write_bytes(ray.get(content))
        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
        self._classifier, self._top = classifier_of(str(path), max(1, int(cpus))), top

    @staticmethod
    def shipped(bundle: str | os.PathLike[str] | Bundle, top: int = 5) -> tuple[Any, ...]:
        """Return the arguments of the constructor: `map_batches(Predictor, fn_constructor_args=Predictor.shipped(…))`.

        The bundle's bytes are put into Ray's object store, from which each machine fetches them once.

        Raises:
            InputError: `top` is below 1.
            BundleError: The bundle is damaged.
            MissingPart: Ray is not installed.
        """
        with naming_missing_parts():
            import ray

        require_top(top)
        file, name = name_on_workers(bundle)
        return name, ray.put(file.read_bytes()), top

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch with the columns path, label, probability, labels, probabilities, typical and error."""
        rows = list(rows_of(self._classifier, batch["path"], batch["bytes"], self._top))
        return {column: _column([row[column] for row in rows]) for column in COLUMNS}


def _column(values: list[Any]) -> Any:
    """Return values, among which may be lists and None, as an array of objects."""
    column = np.empty(len(values), object)
    for place, value in enumerate(values):  # at once, numpy would make a second axis of equally long lists
        column[place] = value
    return column
