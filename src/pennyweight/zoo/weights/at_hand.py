"""Find weights that need no download: published ones in the cache, and the files of a folder."""

from __future__ import annotations

from pathlib import Path

from pennyweight.core.cache import cached_file
from pennyweight.zoo.weights.checkpoint import SUFFIXES
from pennyweight.zoo.weights.published import PUBLISHED

__all__ = ["cached_weights", "files_of"]


def cached_weights() -> list[tuple[str, str]]:
    """Return (network, tag) of the best published weights of each network whose file is in the cache.

    A network of torchvision has its place here only where it is none of ours, which take the same file.
    """
    from pennyweight.zoo import from_torchvision  # 1 s, spent only where networks are compared

    found = []
    for name, rows in PUBLISHED.items():
        here = [tag for tag, row in rows.items() if cached_file("weights", row.file).is_file()]
        if here:
            found.append((name, max(here, key=lambda tag: rows[tag].top1)))
    ours = {name for name, _ in found}
    return found + [(f"torchvision:{name}", tag) for name, tag in from_torchvision.cached() if name not in ours]


def files_of(folder: Path) -> list[Path]:
    """Return the files of weights in a folder, in the order of their names; empty for anything but a folder."""
    return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES) if folder.is_dir() else []
