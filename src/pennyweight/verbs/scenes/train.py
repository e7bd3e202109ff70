"""Train on a scene: the loop for pictures, given windows or tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from pennyweight import data
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.scenes.splits import SceneSplit
from pennyweight.data.scenes.windows import Padded, SceneTiles, SceneWindows
from pennyweight.nn import WindowNetwork
from pennyweight.train import Callback, Checkpointer, Epoch, Ranks, train
from pennyweight.train.callbacks import NullCallback, best_of
from pennyweight.train.tiles import TileTraining
from pennyweight.verbs.fitting.estimate import estimated, few_steps
from pennyweight.verbs.scenes.plan import ScenePlan

__all__ = ["learn"]


def learn(
    scene: Scene,
    split: SceneSplit,
    plan: ScenePlan,
    *,
    callback: Callback | None = None,
    after_epoch: Callable[[nn.Module, Sequence[Epoch], bool], None] = lambda network, epochs, best: None,
    checkpointer: Checkpointer | None = None,
    kept: Mapping[str, Tensor] | None = None,
    note: Callable[[str], None] | None = None,
) -> tuple[nn.Module, Epoch]:
    """Train a network, and return it with the weights of its best epoch, and that epoch.

    `after_epoch(network, epochs, best)` gets every finished epoch. `checkpointer` saves the state and gives the
    newest one; `kept` are then the best weights until there. `note` gets an estimate of the time.
    """
    network = plan.make()
    padded = Padded.of(scene, plan.projection, plan.options.window)
    best: dict[str, Any] = dict(kept or {})

    def keep(epochs: Sequence[Epoch], is_best: bool) -> None:
        if is_best:
            best.update({key: value.clone() for key, value in network.state_dict().items()})
        after_epoch(network, epochs, is_best)

    kind = SceneTiles if plan.options.cut == "tiles" else SceneWindows
    # Batches of numbers take the place of batches of pixels; the loop asks for nothing else of Pictures.
    training, validation = (cast("data.Pictures", kind(padded, part)) for part in (split.train, split.val))
    trained = TileTraining(network) if isinstance(network, WindowNetwork) and kind is SceneTiles else network
    shared: dict[str, Any] = {"recipe": plan.recipe, "seed": plan.seed, "preprocess": training.preprocess}
    if note is not None:
        pace = few_steps(trained, training, validation, epochs=plan.recipe.epochs, ranks=Ranks(), **shared)
        note(estimated(pace.seconds(plan.recipe, plan.options.window)))
    history = train(
        trained,
        training=training,
        validation=validation,
        callback=callback or NullCallback(),
        **shared,
        after_epoch=keep,
        checkpointer=checkpointer,
    )
    chosen = best_of(history)
    assert chosen is not None
    network.load_state_dict(best)
    return network.eval(), chosen
