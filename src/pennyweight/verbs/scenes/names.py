"""Name the scenes that a command opens by name."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pennyweight.data.scenes.published import SCENES

__all__ = ["names"]


def names(pattern: str = "*") -> list[str]:
    """List the scenes that have a name, as `scene:NAME`: the published ones, and a synthetic one.

    Args:
        pattern: Names as a shell matches them, with or without `scene:` before them, such as "salinas*".

    Returns:
        Names that `pw.scene.fit` takes; empty where none matches.
    """
    wanted = pattern.removeprefix("scene:")
    return [f"scene:{name}" for name in (*SCENES, "synthetic") if fnmatchcase(name, wanted)]
