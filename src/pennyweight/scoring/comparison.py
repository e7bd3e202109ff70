"""Comparison of networks on the same pictures: accuracies over seeds, and tests of their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennyweight.core.data_frame import data_frame
from pennyweight.core.figures import number, share
from pennyweight.core.intervals import CONFIDENCE
from pennyweight.core.summary import Facts, Summary
from pennyweight.report.paper_table import as_latex, as_markdown
from pennyweight.scoring.comparison_table import comparison_cells, comparison_notes

__all__ = ["ComparedNetwork", "Comparison", "Difference", "difference_of", "mcnemar", "mean_interval"]

FEW = 25
"""Pictures on which the answers differ, below which McNemar's test is exact."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparedNetwork(Summary):
    """Network with its score on the compared pictures: of one run or bundle, or of several seeds."""

    name: str
    runs: tuple[str, ...]
    """Folders of its runs, or the bundle's file."""
    seeds: tuple[int | None, ...]
    """Seed of each run; None for a bundle."""
    accuracies: tuple[float, ...]
    """Accuracy of each run on the compared pictures, 0 to 1."""
    accuracy: float
    """Mean of the accuracies."""
    deviation: float | None
    """Sample standard deviation over the seeds; None for one run."""
    accuracy_interval: tuple[float, float]
    """95% interval. Of one run, it is for other pictures. Of several seeds, it is Student's t interval of the mean, for
    other seeds on the same pictures."""
    params: int
    macs: int
    ms: float | None
    """Median milliseconds of one call; None where they were not measured."""

    def _facts(self) -> Facts:
        yield "network", self.name
        yield "accuracy", share(self.accuracy)
        yield "runs", number(len(self.runs))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Difference of two networks on the same pictures."""

    first: str
    second: str
    first_alone: int
    """Pictures that the first one alone has right, of the runs that McNemar's test compares."""
    second_alone: int
    mcnemar_p: float
    """p-value of McNemar's test between two trained networks; of several seeds, the first run of each."""
    is_exact: bool
    """True for the exact binomial form, taken for few pictures; False for chi-squared with continuity correction."""
    seeds_p: float | None
    """p-value of Welch's t test between the accuracies over seeds; None unless both have several."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Summary):
    """Networks on the same `images` pictures, the most accurate first."""

    source: str
    split: str
    images: int
    left_out: Mapping[str, int]
    """Run or bundle -> pictures that are left out for all because it learned from them."""
    networks: tuple[ComparedNetwork, ...]
    differences: tuple[Difference, ...]
    """Every pair of networks, in their order."""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON keeps them."""
        return asdict(self)

    def to_frame(self) -> Any:
        """Return the networks as a pandas DataFrame, with source, split and pictures in its `attrs`.

        Raises:
            MissingPart: pandas is not installed.
        """
        return data_frame(self.networks, source=self.source, split=self.split, images=self.images)

    def to_markdown(self) -> str:
        """Return the table as Markdown, with notes on what the figures mean."""
        return as_markdown(*comparison_cells(self), comparison_notes(self))

    def to_latex(self) -> str:
        r"""Return the table as LaTeX, a `tabular` for `\usepackage{booktabs}`; the notes are comments."""
        return as_latex(*comparison_cells(self), comparison_notes(self))

    def against_best(self, name: str) -> Difference | None:
        """Return the difference of a network from the most accurate one; None for that one itself."""
        best = self.networks[0].name
        return next((each for each in self.differences if (each.first, each.second) == (best, name)), None)

    def _facts(self) -> Facts:
        yield "", f"{number(len(self.networks))} networks on {number(self.images)} pictures of {self.source}"
        for network in self.networks:
            yield network.name, share(network.accuracy)


def mcnemar(first_alone: int, second_alone: int) -> tuple[float, bool]:
    """Return the p-value of McNemar's test, and whether it is the exact one, which few pictures need.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions".

    Args:
        first_alone: Pictures that the first network alone has right.
        second_alone: Pictures that the second network alone has right.
    """
    from scipy.stats import binomtest, chi2  # slow to import

    differing = first_alone + second_alone
    if differing < FEW:
        return (float(binomtest(first_alone, differing).pvalue) if differing else 1.0), True
    statistic = max(abs(first_alone - second_alone) - 1, 0) ** 2 / differing
    return float(chi2.sf(statistic, 1)), False


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95% interval of the mean of at least two accuracies, within 0 and 1."""
    from scipy.stats import t  # slow to import

    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    mean = fmean(values)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def difference_of(names: tuple[str, str], correct: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> Difference:
    """Test the difference of two networks.

    Args:
        names: Names of the networks.
        correct: Masks of the pictures that each run has right, (runs, N) each.

    Returns:
        McNemar's test between the first runs, and Welch's between the accuracies over seeds.
    """
    first, second = correct
    alone = int((first[0] & ~second[0]).sum()), int((second[0] & ~first[0]).sum())
    p, exact = mcnemar(*alone)
    return Difference(
        first=names[0],
        second=names[1],
        first_alone=alone[0],
        second_alone=alone[1],
        mcnemar_p=p,
        is_exact=exact,
        seeds_p=_welch(first.mean(axis=1), second.mean(axis=1)),
    )


def _welch(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return Welch's p-value; None for single runs. Accuracies without any spread are equal or surely different."""
    if min(len(first), len(second)) < 2:
        return None
    if not (first.std() or second.std()):
        return 1.0 if first[0] == second[0] else 0.0
    from scipy.stats import ttest_ind  # slow to import

    return float(ttest_ind(first, second, equal_var=False).pvalue)
