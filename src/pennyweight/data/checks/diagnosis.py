"""Findings of the doctor on a source: kinds, severities and the diagnosis."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from pennyweight.core.sixteen_bit import Levels
from pennyweight.core.summary import Facts, Summary
from pennyweight.data.checks.shortcuts import Shortcut
from pennyweight.data.checks.view import View

__all__ = ["FEW_LEVELS", "HUGE_PIXELS", "KINDS", "TINY", "Diagnosis", "Finding"]

TINY = 16
HUGE_PIXELS = 50_000_000
FEW_LEVELS = 16
KINDS = {
    "refused": ("error", "fit refuses the source for this"),
    "unreadable": ("error", "cannot be read; fit leaves them out"),
    "bands": ("error", "not the number of bands of the input; fit leaves them out"),
    "two labels": ("error", "the same picture under two labels"),
    "two splits": ("error", "the same picture in two splits; fit keeps it in the later one"),
    "shortcut": ("warning", "the classes differ in a way that is easier to learn than their content"),
    "groups": ("warning", "related pictures in training and test: the score may be too high"),
    "twins, two splits": ("warning", "pictures of the same moment in two splits: the score may be too high"),
    "twins, two labels": ("warning", "pictures of the same moment under two labels"),
    "duplicate": ("warning", "the same picture more than once"),
    "twins": ("note", "several pictures of the same moment"),
    "imbalance": ("warning", "classes of unequal size"),
    "cut": ("note", "a crop loses much; fit chooses the input by the shapes, and --frame pad shows whole pictures"),
    "order": ("note", "neighbors in the shards are of few classes: a reader that does not mix them learns badly"),
    "fields": ("note", "fields of the samples with names of their own"),
    "shard sizes": ("note", "a shard much larger than the others"),
    "extension": ("note", "the file extension does not match the content"),
    "tiny": ("note", f"a side below {TINY} pixels"),
    "huge": ("note", f"more than {HUGE_PIXELS // 10**6} megapixels"),
    "dull": ("note", f"fewer than {FEW_LEVELS} of 256 levels between darkest and brightest"),
    "mode": ("note", "neither 8-bit gray nor RGB; converted when read"),
    "several": ("note", "several frames or pages: the first is read"),
    "orientation": ("note", "rotated by its EXIF orientation tag when read"),
}
"""Kind of a finding -> (severity, meaning), the most severe first."""


class Finding(NamedTuple):
    """Finding of one kind, with the names of its pictures; alike pictures share a finding, the original first."""

    kind: str
    """Key of KINDS."""
    pictures: tuple[str, ...]
    detail: str

    @property
    def severity(self) -> str:
        """Return "error", "warning" or "note"."""
        return KINDS[self.kind][0]


@dataclass(frozen=True, kw_only=True, repr=False)
class Diagnosis(Summary):
    """Result of `doctor`: findings, class counts and splits of a source."""

    source: str
    fingerprint: str
    counts: dict[str, int]
    """Pictures of each class."""
    splits: dict[str, int] | None
    """Pictures in each of the three splits; None if the source cannot be split."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    levels: Levels = ()
    """The range of 16-bit pictures that `fit` will use."""
    shortcuts: tuple[Shortcut, ...] = ()
    """Scores of trivial classifiers on the splits that `fit` makes."""
    view: View | None = None
    """Input that `fit` chooses, and what it shows; None without a readable training picture."""

    @property
    def sound(self) -> bool:
        """Return whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """Return "sound", "sound, with warnings" or "not sound"."""
        warned = any(finding.severity == "warning" for finding in self.findings)
        return ("sound, with warnings" if warned else "sound") if self.sound else "not sound"

    def _facts(self) -> Facts:
        yield "data", self.source
        yield "", "sound" if self.sound else "not sound"
        yield "images", f"{sum(self.counts.values()):,}"
        yield "classes", f"{len(self.counts):,}"
        for kind, count in Counter(finding.kind for finding in self.findings).items():
            yield f"{KINDS[kind][0]}, {kind}", f"{count:,}"

    def of(self, kind: str) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON values."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "sound": self.sound,
            "verdict": self.verdict,
            "counts": self.counts,
            "splits": self.splits,
            "notes": list(self.notes),
            "shortcuts": [one.to_dict() for one in self.shortcuts],
            "view": None if self.view is None else self.view.to_dict(),
            "findings": [
                {
                    "kind": f.kind,
                    "severity": f.severity,
                    "meaning": KINDS[f.kind][1],
                    "pictures": list(f.pictures),
                    "detail": f.detail,
                }
                for f in self.findings
            ],
        }
