"""`scene evaluate`: score a scene's run."""

# No `from __future__ import annotations`: Typer reads the annotations.

from pennyweight.cli import options, show
from pennyweight.cli.scene import options as scenes
from pennyweight.cli.scene.show import show_scores

__all__ = ["evaluate"]


def evaluate(run: scenes.SceneRun, bfloat16: scenes.Bfloat16 = False, json: options.Json = False) -> None:
    """Map the scene that a run was trained on, and score its test pixels."""
    from pennyweight.verbs.scenes.evaluate import evaluate as verb
    from pennyweight.verbs.scenes.load import open_scene_run

    opened = open_scene_run(run, "evaluate")
    scored = verb(opened, bfloat16=bfloat16).to_dict()
    if json:
        show.as_json(scored)
    else:
        show_scores(scored, opened.info.network)
