"""Tell a run of a scene from a run of pictures, and name the commands that take it."""

from __future__ import annotations

from shlex import quote

from pennyweight.core.errors import InputError
from pennyweight.core.run import Run

__all__ = ["is_scene_run", "refuse_scene_run", "require_scene_run"]

WORK = {"evaluate": "score it", "export": "export it", "predict": "map cubes"}


def is_scene_run(run: Run) -> bool:
    """Return True for a run that was trained on a scene."""
    return run.info.scene is not None


def refuse_scene_run(run: Run, command: str) -> None:
    """Raise InputError for a run of a scene, with the command on scenes that takes it."""
    if is_scene_run(run):
        arguments = quote(str(run.folder)) + (" CUBE --map map.png" if command == "predict" else "")
        raise InputError(
            f"{run.folder} was trained on a scene; {WORK[command]} with: pennyweight scene {command} {arguments}"
        )


def require_scene_run(run: Run, command: str) -> None:
    """Raise InputError for a run of pictures, with the command that takes it or that trains on a scene."""
    if is_scene_run(run):
        return
    if command == "predict":
        rest = "a map needs a run of a scene: pennyweight scene fit scene:NAME"
    else:
        rest = f"{WORK[command]} with: pennyweight {command} {quote(str(run.folder))}"
    raise InputError(f"{run.folder} was trained on pictures; {rest}")
