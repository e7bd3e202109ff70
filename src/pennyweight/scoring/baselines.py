"""Baselines for scenes: classifiers of a single pixel's spectrum, without a network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spectra", "nearest_neighbor", "rbf_svm"]

COSTS = (1.0, 10.0, 100.0, 1000.0)
"""Values of the support vector machine's C."""
WIDTHS = (0.1, 1.0, 10.0)
"""Values of its gamma, as multiples of scikit-learn's gamma="scale"."""


class Spectra(NamedTuple):
    """Scaled spectra (N, bands) and their classes (N,)."""

    values: NDArray[np.float32]
    targets: NDArray[np.int64]


def nearest_neighbor(train: Spectra, val: Spectra, test: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class of the nearest training or validation spectrum for each of `test`. (N, bands) -> (N,)"""
    from sklearn.neighbors import KNeighborsClassifier  # slow to import

    return _fit(KNeighborsClassifier(n_neighbors=1), train, val).predict(test).astype(np.int64)  # type: ignore[no-any-return]


def rbf_svm(train: Spectra, val: Spectra, test: NDArray[np.float32]) -> NDArray[np.int64]:
    """Classify each of `test` by a support vector machine with a Gaussian kernel. (N, bands) -> (N,)

    C and gamma are chosen by accuracy on `val`, the first of equals. The machine is then fitted to `train` and `val`
    together. Melgani and Bruzzone 2004, doi:10.1109/TGRS.2004.831865.
    """
    from sklearn.svm import SVC

    scale = 1 / (train.values.shape[1] * float(train.values.var()) or 1.0)
    machines = [SVC(C=cost, gamma=width * scale) for cost in COSTS for width in WIDTHS]
    best = max(machines, key=lambda machine: float(machine.fit(*train).score(*val)))
    return _fit(best, train, val).predict(test).astype(np.int64)  # type: ignore[no-any-return]


def _fit(classifier: Any, train: Spectra, val: Spectra) -> Any:
    """Fit a classifier to the training and validation spectra."""
    values = np.concatenate([train.values, val.values])
    return classifier.fit(values, np.concatenate([train.targets, val.targets]))
