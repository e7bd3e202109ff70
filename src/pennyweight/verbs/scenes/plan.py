"""Plan of a training on a scene: every choice that was left to `fit`, decided before the first step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.settings import override
from pennyweight.core.spectral import Projection
from pennyweight.data.scenes.fixed_maps import fixed_split
from pennyweight.data.scenes.scene import ROWS, Scene
from pennyweight.data.scenes.splits import SceneSplit, SplitKind, split_scene
from pennyweight.data.scenes.windows import tile_steps
from pennyweight.train import Recipe, reproducible
from pennyweight.train.presets import get_recipe
from pennyweight.verbs.fitting.plan import require_seed

__all__ = ["SceneOptions", "ScenePlan", "make_scene_plan", "split_of"]

DEFAULT_MODEL, FEW_BANDS_MODEL = "hybrid_sn_bn", "window_cnn"
"""Network that auto takes, and the one for a scene with fewer bands than the first needs."""
FEWEST_BANDS = 13
COMPONENTS = 15
VIT_PATCH = 5
ALL_BANDS = ("spectral_mlp",)
"""Networks that see one pixel take every band; whitening would raise the noise to the height of the signal."""
STEPS = {"spectral_mlp": 3000}
"""Steps of training unless told otherwise; FEWEST_STEPS for the others."""
FEWEST_STEPS = 240
EPOCHS = 15
WHOLE_SCENE_ROWS = 4 * ROWS

NEW_FIELDS = ("bands", "ignore_place", "test_labels", "split_map")
"""Fields that run.json has only where they are set, so that a run of an earlier version can resume."""

Protocol = Literal["training", "paper"]
Cut = Literal["windows", "tiles"]


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """Options of a scene: its labels, split, windows and components. Raises InputError for a value out of range."""

    labels: str | None = None
    """The file of the label map, for a cube's file."""
    test_labels: str | None = None
    """The file of the label map of the test pixels; `labels` is then the map of the training pixels."""
    split_map: str | None = None
    """The file of a raster of codes: 1 training, 2 test, 3 validation."""
    names: str | None = None
    """A text file with the classes' names, a line each, in the order of their ids; an ENVI map has its own."""
    background: int = 0
    """The id of pixels that nobody labeled."""
    bands: str | None = None
    """Bands to keep, such as 1-129,136-224; by default all but those that are marked as bad or without numbers."""
    ignore_place: bool = False
    """Join a cube and a label map although their georeferences differ."""
    split: SplitKind = "random"
    """random, as papers do; blocks, with a guard of half a window between training and test."""
    train: float = 0.3
    """The training share: below 1 of each class, else pixels of each class. Validation comes out of it."""
    window: int = 25
    """Pixels a side of the neighborhood that the network sees; odd."""
    components: int | None = None
    """Principal components; 0 takes the bands, scaled; None is what suits the network."""
    protocol: Protocol = "training"
    """training: scaling and components are fitted on training pixels; paper: on the whole scene, test pixels too."""
    cut: Cut = "windows"
    """windows: each is trained on by itself; tiles: neighbors share the trunk."""

    def __post_init__(self) -> None:
        for name, choices in (("split", SplitKind), ("protocol", Protocol), ("cut", Cut)):
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"scene field '{name}' must be one of {', '.join(get_args(choices))}, not '{getattr(self, name)}'"
                )
        if self.window < 1 or self.window % 2 == 0:
            raise InputError(
                "a window has a middle pixel: its side must be odd and at least 1, "
                f"not {self.window}; {max(self.window + 1, 1)} would do"
            )
        if not 0 < self.train < math.inf:
            raise InputError(f"the training share is a share below 1, or pixels of each class, not {self.train}")

        self._check_fixed()

    def _check_fixed(self) -> None:
        """Raise InputError for two ways to split a scene."""
        fixed = [name for name in ("test_labels", "split_map") if getattr(self, name) is not None]
        if len(fixed) == 2:
            raise InputError("--test-labels and --split-map both fix the split: give one of them")
        drawn = [name for name in ("split", "train") if getattr(self, name) != getattr(type(self), name)]
        if fixed and drawn:
            raise InputError(f"--{fixed[0].replace('_', '-')} fixes the split: leave out --{drawn[0]}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as run.json keeps them."""
        return {name: value for name, value in asdict(self).items() if value or name not in NEW_FIELDS}


@dataclass(frozen=True, kw_only=True)
class ScenePlan:
    """Network, its input and its training, fully decided."""

    model: dict[str, Any]
    options: SceneOptions
    projection: Projection
    recipe: Recipe
    seed: int

    @property
    def note(self) -> str:
        """The plan in a line."""
        options, recipe = self.options, self.recipe
        seen = f"{options.components} components" if options.components else f"{self.projection.bands} bands"
        where = "the whole scene, test pixels too" if options.protocol == "paper" else "training pixels"
        return (
            f"{self.model['name']} on {options.cut} of {options.window}×{options.window}, {seen} fitted on {where}, "
            f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)} of {recipe.optimizer}"
        )

    def make(self) -> nn.Module:
        """Return the network, drawn from the seed."""
        with reproducible(self.seed):
            return zoo.build(**self.model)


def split_of(scene: Scene, options: SceneOptions, seed: int) -> SceneSplit:
    """Split a scene by its options and a seed. Raises InputError for a window larger than the scene."""
    require_seed(seed)
    height, width = scene.shape
    if not scene.known.any():
        raise SourceError(f"no pixel of {scene.name} has a number in every band: all are NaN, or are to be ignored")
    if options.window > min(height, width):
        most = (min(height, width) - 1) // 2 * 2 + 1
        raise InputError(
            f"a window of {options.window} is larger than the scene of {height}×{width}; --window {most} is the most"
        )
    if scene.parts is not None:
        return fixed_split(scene.truth, scene.parts, scene.labels, seed=seed)
    return split_scene(
        scene.truth, scene.labels, kind=options.split, train=options.train, window=options.window, seed=seed
    )


def make_scene_plan(
    scene: Scene,
    split: SceneSplit,
    model: str,
    options: SceneOptions,
    *,
    recipe: Recipe | Mapping[str, Any] | None,
    config: Mapping[str, Any],
    seed: int,
) -> ScenePlan:
    """Decide every choice that was left open. Raises InputError for a value that cannot be used."""
    name = model
    if model == "auto":
        usual_components = min(COMPONENTS, scene.bands)
        seen = usual_components if options.components is None else options.components or scene.bands
        name = DEFAULT_MODEL if seen >= FEWEST_BANDS else FEW_BANDS_MODEL
    usual = zoo.form(name)
    fields = vars(zoo.variant(name).config) if ":" not in name else {}
    if options.cut == "tiles" and "window" not in fields:
        raise InputError(f"'{name}' has no convolutional form for tiles; take --cut windows, or --model hybrid_sn_bn")
    if options.components is None:
        # As many as suit, of as many as there are.
        options = replace(options, components=0 if name in ALL_BANDS else min(COMPONENTS, scene.bands))
    projection = Projection.fit(_fitted_on(scene, split, options), options.components or None)
    own: dict[str, Any] = {"window": options.window} if "window" in fields else {}
    if "patch" in fields and options.window % VIT_PATCH == 0:
        own["patch"] = VIT_PATCH
    settled = recipe if isinstance(recipe, Recipe) else _recipe(name, scene, split, options, recipe or {})
    _refuse_unused(settled, options.cut)
    if settled.mode != "scratch":
        raise InputError(f"mode {settled.mode} starts from weights, and a scene's network has none: leave the mode out")
    small = usual.stem if own or ":" in name else "cifar"
    return ScenePlan(
        model={
            "name": name,
            "num_classes": len(scene.labels),
            "in_channels": projection.channels,
            "stem": small,
            "config": zoo.settle(name, {**own, **config}, size=options.window),
        },
        options=options,
        projection=projection,
        recipe=settled,
        seed=seed,
    )


def _recipe(name: str, scene: Scene, split: SceneSplit, options: SceneOptions, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe long enough for a scene of few labeled pixels.

    Tiles make fewer steps of an epoch, and learn as windows do only in as many steps: they get more epochs.
    """
    changes = dict(changes)
    if (name_of_recipe := changes.pop("name", None)) is not None:
        return override(replace(get_recipe(name_of_recipe), shift=0.0, first_size=1.0), changes, what="recipe")
    usual = Recipe(lr=1e-3, shift=0.0, flip=True)
    batch = override(usual, {"batch": changes.get("batch", usual.batch)}, what="recipe").batch
    steps = max(1, -(-len(split.train) // batch))
    epochs = max(EPOCHS, -(-STEPS.get(name, FEWEST_STEPS) // steps))
    if options.cut == "tiles":
        epochs = max(epochs, -(-epochs * steps // tile_steps(split.train, scene.shape, batch)))
    return override(replace(usual, epochs=epochs), changes, what="recipe")


UNUSED = ("policy", "erase", "mixup", "cutmix", "balance", "first_size")
"""Fields of a recipe that change pictures or draw them otherwise; windows have none of it."""


def _refuse_unused(recipe: Recipe, cut: Cut) -> None:
    """Raise InputError for a field that was set and would do nothing here."""
    usual = Recipe()
    for name in (*UNUSED, *(("accumulate",) if cut == "tiles" else ())):
        if (value := getattr(recipe, name)) != getattr(usual, name):
            where = "tiles" if name == "accumulate" else "a scene's windows"
            raise InputError(
                f"recipe field '{name}' ({value}) is for pictures, and does nothing to {where}: leave it out"
            )
    if recipe.shift not in (0.0, usual.shift):
        raise InputError(f"recipe field 'shift' ({recipe.shift}) is for pictures: a scene's windows stay in place")


def _fitted_on(scene: Scene, split: SceneSplit, options: SceneOptions) -> Any:
    """Return the spectra that scaling and components are fitted on: (N, bands)."""
    if options.protocol == "training":
        rows, cols = np.unravel_index(split.train, scene.shape)
        return scene.cube[rows, cols]
    return np.concatenate(
        [
            scene.cube[start : start + WHOLE_SCENE_ROWS][scene.known[start : start + WHOLE_SCENE_ROWS]]
            for start in range(0, scene.shape[0], WHOLE_SCENE_ROWS)
        ]
    )
