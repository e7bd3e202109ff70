"""Manifest of a scene's bundle, kept in the metadata of its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pennyweight.core.band_choice import BandChoice
from pennyweight.core.errors import BundleError, InputError
from pennyweight.core.figures import fine_share, number
from pennyweight.core.reading import parse_json
from pennyweight.core.settings import from_json
from pennyweight.core.summary import Facts, Summary, classes

__all__ = ["SCENE_METADATA_KEY", "Form", "SceneManifest"]

SCENE_METADATA_KEY = "pennyweight-scene"
FORMAT = 2
"""Version of the manifest; files of version 1 have no seal (`core.seal`)."""

Form = Literal["tile", "windows"]
"""tile: (H, W, bands) -> an answer for each window in it. windows: (B, window, window, bands) -> (B, classes)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class SceneManifest(Summary):
    """Labels, form and parity proof of a scene's bundle; scaling and components are inside the graph."""

    network: Mapping[str, Any]
    """name, stem, num_classes, in_channels, config."""
    labels: tuple[str, ...]
    ids: tuple[int, ...]
    """Id of each class in the label map, which predicted maps use, too."""
    form: Form
    window: int
    bands: int
    evaluation: Mapping[str, Any] | None
    parity: Mapping[str, Any]
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    created: str
    format: int = FORMAT
    chosen_bands: str | None = None
    """Bands of a cube that the network takes, from 1, such as "1-129,136-224"; None for every band."""
    cube_bands: int | None = None
    """Bands of a whole cube; None if the network takes all."""

    def _facts(self) -> Facts:
        yield "network", str(self.network["name"])
        left = f" of {self.cube_bands:,} ({self.chosen_bands})" if self.cube_bands else ""
        yield "input", f"{self.bands:,} bands{left}, windows of {self.window}×{self.window}"
        yield classes(self.labels)
        if self.evaluation is not None:
            accuracy, pixels = fine_share(self.evaluation["overall_accuracy"]), number(self.evaluation["pixels"])
            yield "overall accuracy", f"{accuracy} of {pixels} test pixels ({self.evaluation['split']} split)"
        if self.parity:
            yield "proved on", f"{number(self.parity['pixels'])} pixels"

    @property
    def choice(self) -> BandChoice:
        """Return the bands of a cube that the network takes. Raises InputError for a list that does not fit."""
        if self.chosen_bands is None or self.cube_bands is None:
            return BandChoice.whole(self.bands)
        choice = BandChoice.parse(self.chosen_bands, self.cube_bands)
        if len(choice.numbers) != self.bands:
            raise InputError(f"the bands {choice} are not the {self.bands} that the network takes")
        return choice

    @property
    def sealed(self) -> bool:
        """True if the file must end with a seal."""
        return self.format > 1

    def to_json(self) -> str:
        """Return the text to keep under SCENE_METADATA_KEY."""
        values = {name: value for name, value in asdict(self).items() if value is not None or name == "evaluation"}
        return json.dumps(values, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, name: str) -> SceneManifest:
        """Parse the text of `to_json`. Raises BundleError that names the file `name`."""
        try:
            values = parse_json(text, "it", InputError)
            if not 1 <= values["format"] <= FORMAT:
                raise BundleError(f"{name} was written by a newer Pennyweight; update this one to open it")
            made = from_json(cls, values, what="manifest")
            if len(made.labels) != len(made.ids) or made.window < 1 or made.window % 2 == 0 or made.bands < 1:
                raise InputError(
                    f"{len(made.labels)} labels, {len(made.ids)} ids, a window of {made.window} and {made.bands} bands "
                    "are not those of a scene"
                )
            _ = made.choice
            return made
        except (InputError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{name} has a manifest that cannot be read: {error}") from error
