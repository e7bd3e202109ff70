"""Content of run.json as typed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from pennyweight.core.run_fields import require_fields

__all__ = ["DataRecord", "RunRecord", "SceneRecord"]

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Section:
    """Object in run.json. Keys that this version does not know stay in `others`, and are written back."""

    others: Object = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Object) -> Self:
        """Return the section that run.json holds as `values`; a field that is missing there has its default."""
        known = {each.name for each in fields(cls)} - {"others"}
        own = {name: value for name, value in values.items() if name in known}
        return cls(**own, others={name: value for name, value in values.items() if name not in known})

    def _to_dict(self, nulls: frozenset[str]) -> dict[str, Any]:
        """Return what run.json holds. A field that is None is left out, unless it is one of `nulls`."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "others"}
        return {name: value for name, value in own.items() if value is not None or name in nulls} | dict(self.others)


@dataclass(frozen=True, kw_only=True)
class DataRecord(_Section):
    """Data of a run: pictures, or a scene."""

    source: str = ""
    """Name of the source."""
    address: Any = ""
    """String that `data.open` takes; of a scene the files of its cube and of its label map."""
    labels: Sequence[str] = ()
    """Class names, in the order of the network's outputs."""
    ids: Sequence[int] | None = None
    """Ids of the classes in a scene's label map."""
    names: Sequence[str] | None = None
    """Class names that a user gave for the label map of a scene's file."""
    counts: Object | None = None
    """Pictures, or pixels, in each split."""
    notes: Sequence[str] | None = None
    """Lines for a person."""
    fingerprint: str = ""
    """Digest of the content."""
    split_fingerprint: str | None = None
    """Digest of the split of pictures."""
    unreadable: Sequence[Object] | None = None
    """Pictures that cannot be read: their names, and the reasons."""
    left_out: Sequence[Object] | None = None
    """Readable pictures that no split has: their names, and the reasons, such as a copy in a later split."""
    channels: int | None = None
    """Channels of the pictures."""
    group_by: str | None = None
    """Pattern that keeps pictures of one group in one split."""
    twins: str | None = None
    """Rule for pictures that show the same moment; None before they were looked for."""
    folds: int | None = None
    """Number of folds, in which all pictures were scored and learned from; None for a split."""
    read_as: Object | None = None
    """Settings with which `data.open` read the source."""

    def to_dict(self, *, scene: bool) -> dict[str, Any]:
        """Return the data as run.json holds it."""
        return self._to_dict(frozenset({"names"} if scene else {"group_by"}))


@dataclass(frozen=True, kw_only=True)
class SceneRecord(_Section):
    """Settings and leakage of a run on a scene."""

    window: int
    """Pixels a side of the neighborhood that the network sees."""
    options: Object
    """Fields of SceneOptions."""
    synthetic: bool = False
    """Set for a scene that was made, not measured."""
    leakage: Object | None = None
    """Share of the test windows that hold training pixels."""
    bands: str | None = None
    """Bands of the cube that the network takes, from 1, such as "1-129,136-224"; None for every band."""
    cube_bands: int | None = None
    """Bands of the whole cube."""
    cube_fingerprint: str | None = None
    """Digest of the numbers of the cube, without its labels."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as run.json holds them."""
        return self._to_dict(frozenset())


@dataclass(frozen=True, kw_only=True)
class RunRecord(_Section):
    """Content of run.json, format 2: settings, resolved recipe, versions, seed, machine and data of a run."""

    name: str = ""
    """Name of the folder."""
    created: str = ""
    """Moment of the beginning, ISO 8601 in UTC."""
    status: str = ""
    """"training" or "complete"."""
    seed: int = 0
    """Seed of the split of a scene, the first weights and every random choice."""
    model: Object
    """Arguments of `zoo.build`: name, num_classes, in_channels, stem and config."""
    weights: str | None = None
    """Name of the weights that the training started from; None for a fresh network."""
    data: DataRecord
    scene: SceneRecord | None = None
    """Settings of a scene; None for pictures."""
    preprocess: Object | None = None
    """Fields of Preprocess; None for a scene."""
    recipe: Object = field(default_factory=dict)
    """Fields of Recipe, and the `stretches` of EpochPlan."""
    recipe_name: str | None = None
    """Name of the recipe that fields were changed in; None for a whole recipe."""
    why: Sequence[str] | None = None
    """Automatic choices, with their reasons."""
    machine: Object | None = None
    """Processor, accelerator, threads and ranks."""
    versions: Object | None = None
    """Versions of this package and of the libraries that decide bits."""
    asked: Object = field(default_factory=dict)
    """Settings of the command; a resumed one must have the same."""
    speed: Object | None = None
    """Measured steps and epochs."""
    learning_curve: Object | None = None
    """Accuracy with a part of the pictures and with all: `points`, and `lines` on what more would bring."""
    networks: Sequence[Object] | None = None
    """Networks that `fit` tried, with their accuracy in folds and their costs; `kept` is true for the chosen one, and
    `folds` are those that were answered by another one."""
    fold_inputs: Sequence[Object] | None = None
    """Preprocessing of each fold's head, where folds chose another input than all pictures together."""
    augmentation: Object | None = None
    """Changes of pictures that were tried against the labels, and those left out; None where there was no check."""
    format: int | None = None
    """Number of this format; None for the first one, which had no digests."""
    sha256: Object | None = None
    """Digest of each file that an answer depends on, by name."""
    shortcuts: Sequence[Object] | None = None
    """Accuracy of trivial classifiers on the test split: `name`, `accuracy`, `interval` and more of each."""
    seconds: float | None = None
    """Duration of the training and of its scoring, over all processes that worked on it."""
    best: Object | None = None
    """Figures of the best epoch, as metrics.jsonl has them; None until the run is complete."""
    waiting: Any = None
    """Manner in which threads waited, as `describe_thread_waiting` tells it."""

    @property
    def is_complete(self) -> bool:
        """True for a run that was trained, scored and reported."""
        return self.status == "complete"

    @property
    def network(self) -> str:
        """Name of the network."""
        return str(self.model["name"])

    @property
    def of_scene(self) -> SceneRecord:
        """Settings of a run on a scene; ask `scene` first."""
        assert self.scene is not None
        return self.scene

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights were kept, from 1; 0 for a run that is not complete."""
        return 0 if self.best is None else int(self.best["epoch"])

    @classmethod
    def read(cls, values: Object, path: Path) -> Self:
        """Return the content of the file `path`. Raises RunError for a field that is missing or of another type."""
        require_fields(values, path)
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: Object) -> Self:
        """Return the record that `to_dict` gave, also that of an earlier version."""
        scene = values.get("scene")
        sections = {
            "data": DataRecord.from_dict(values["data"]),
            "scene": None if scene is None else SceneRecord.from_dict(scene),
        }
        return super().from_dict({**values, **sections})

    def to_dict(self) -> dict[str, Any]:
        """Return the content of run.json."""
        scene = self.scene is not None
        values = self._to_dict(frozenset({"weights"} if scene else {"weights", "recipe_name", "speed"}))
        values["data"] = self.data.to_dict(scene=scene)
        if self.scene is not None:
            values["scene"] = self.scene.to_dict()
        return values
