"""Views of a picture that show no object, and the small classifiers that tell classes from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennyweight.data.checks.glance import Glances

__all__ = ["VIEWS", "Classifier", "Table", "View"]

Table = NDArray[np.float32]
"""(N, columns)."""
Classifier = Callable[[Table, NDArray[Any], Table], NDArray[Any]]
"""Training table, its classes and the scored table -> answers."""

TREES = 20
LEAF = 0.0005
"""Fewest training pictures in a leaf, as a share of all."""
COLUMNS = 14
"""Columns that are tried at each node, so that a single decisive one is found."""
SHRINK = 1.0
"""Deviations by which class centroids shrink toward the common one."""
FAINT = 8.0
"""Largest difference of a pixel from its neighborhood, of 255, that counts in full."""
COLORLESS = 1.5
"""Mean difference of the colors of a thumbnail, of 255, below which a picture is gray."""


def _trees(table: Table, classes: NDArray[Any], scored: Table) -> NDArray[Any]:
    """Return the answers of extremely randomized trees (Geurts et al. 2006)."""
    from sklearn.ensemble import ExtraTreesClassifier  # slow to import

    tried = min(COLUMNS, table.shape[1])
    trees = ExtraTreesClassifier(TREES, min_samples_leaf=LEAF, max_features=tried, random_state=0)
    return np.asarray(trees.fit(table, classes).predict(scored))


def _centroids(table: Table, classes: NDArray[Any], scored: Table) -> NDArray[Any]:
    """Return the answers of nearest shrunken centroids, which find a few decisive columns (Tibshirani et al. 2002)."""
    from sklearn.neighbors import NearestCentroid

    # Dither: a column that is constant within each class has no deviation to scale by.
    dithered = table + np.random.default_rng(0).uniform(-0.5, 0.5, table.shape)
    return np.asarray(
        NearestCentroid(shrink_threshold=SHRINK, priors="empirical").fit(dithered, classes).predict(scored)
    )


def _saved(glances: Glances) -> Table:
    """Return facts of the files that no content decides: numbers first, then texts as their ranks by frequency."""
    numbers, texts = np.zeros((len(glances), 7), np.float32), []
    gray = np.ptp(glances.colors.astype(np.float32), axis=3).mean((1, 2)) < COLORLESS
    for row, saved in enumerate(glances.saved):
        if saved is None:
            texts.append(("",) * 5)
            continue
        height, width = saved.header.height, saved.header.width
        upright = saved.header.orientation
        numbers[row] = (height, width, width / height, upright, saved.quality, bool(saved.taken), gray[row])
        texts.append((saved.header.format, saved.header.mode, saved.layout, saved.camera, saved.software))
    return np.column_stack([numbers, *(_ranks(column) for column in zip(*texts, strict=True))])


def _bytes(glances: Glances) -> Table:
    """Return the bytes of each file for a pixel, which content decides too."""
    headers = [(one.file_bytes, one.header.height * one.header.width) if one else (0, 1) for one in glances.saved]
    return np.array([[count / pixels] for count, pixels in headers], np.float32)


def _ranks(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return each text's rank by frequency, 0 for the most frequent."""
    values, inverse, counts = np.unique(np.array(texts, object).astype(str), return_inverse=True, return_counts=True)
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(len(values))
    return ranks[inverse]


def _color(glances: Glances) -> Table:
    """Return mean colors, and how red and how blue the dim, the middle and the bright parts are."""
    colors = glances.colors.reshape(len(glances), -1, 3).astype(np.float32)
    red, green, blue = np.moveaxis(np.log(colors + 4), 2, 0)
    hues = np.stack([red - green, blue - green])
    spread = np.moveaxis(np.quantile(hues, (0.1, 0.5, 0.9), axis=2), -1, 0).reshape(len(glances), -1)
    return np.column_stack([colors.mean(1), hues.mean(2).T, spread]).astype(np.float32)


def _marks(glances: Glances) -> Table:
    """Return each pixel of the gray thumbnail less its neighborhood, cut off so that no edge outweighs a faint mark."""
    gray = glances.gray.astype(np.float32)
    padded = np.pad(gray, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    around = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    marks: Table = np.clip(gray - around, -FAINT, FAINT).reshape(len(gray), -1)
    return marks


def _field(name: str) -> Callable[[Glances], Table]:
    return lambda glances: glances.looks[name].reshape(len(glances), -1).astype(np.float32)


_detail = _field("detail")


class View(NamedTuple):
    """Facts from which a trivial classifier tells the classes."""

    name: str
    facts: Callable[[Glances], Table]
    control: Callable[[Glances], Table] | None = None
    """Facts of the content alone, from which the same classifier answers where the view itself is far above chance."""
    alone: bool = False
    """True if the facts show no content."""
    least_side: int = 0
    """Median short side in pixels below which the view shows most of a picture."""
    near: float = 0.85
    """Share of the network's gain over chance at which the view comes near the network."""
    classifier: Classifier = _trees


VIEWS = (
    View("how the files were saved", _saved, alone=True),
    View("the bytes of a pixel in the files", _bytes, _detail, alone=True),
    View("the mean color", _color),
    View("the outermost pixels", _field("ring"), _field("inner_ring"), alone=True, least_side=16),
    View("an 8×8 thumbnail", _field("thumbnail"), least_side=64),
    View("sharpness and noise", _detail, least_side=32),
    # A network sees marks in full size, and these classifiers do not.
    View("marks in fixed places", _marks, least_side=64, near=0.8, classifier=_centroids),
)
