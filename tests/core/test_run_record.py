"""run.json as typed values: what is read is written back, key by key."""

from typing import Any

import pytest

from pennyweight.core.errors import RunError
from pennyweight.core.files import digest_of, write_json
from pennyweight.core.run import Run, write_record
from pennyweight.core.run_folder import RunFolder
from pennyweight.core.run_record import RunRecord

DATA: dict[str, Any] = {"source": "pets", "address": "/data/pets", "labels": ["cat", "dog"], "fingerprint": "sha256:0"}
PICTURES: dict[str, Any] = {
    "name": "pets-1", "created": "2026-11-29T14:13:00+00:00", "status": "training", "seed": 3,
    "model": {"name": "resnet_9", "num_classes": 2, "in_channels": 3, "stem": "cifar", "config": {}},
    "weights": None, "data": {**DATA, "group_by": None, "read_as": {}}, "preprocess": {"size": 32},
    "recipe": {"epochs": 3, "stretches": [[2, 5]]}, "recipe_name": None, "why": [], "machine": {}, "versions": {},
    "asked": {"seed": 3}, "speed": None,
}  # fmt: skip
SCENE: dict[str, Any] = {
    "name": "scene-1", "created": "2026-11-29T14:13:00+00:00", "status": "training", "seed": 0,
    "model": {"name": "hybrid_sn"}, "weights": None,
    "data": {**DATA, "address": {"cube": "scene:synthetic"}, "ids": [1, 2], "names": None, "notes": []},
    "scene": {"window": 25, "options": {"window": 25}, "synthetic": True, "leakage": {"share": 0.1}},
    "recipe": {}, "machine": {}, "versions": {}, "asked": {},
}  # fmt: skip


@pytest.mark.parametrize("values", [PICTURES, SCENE, {**PICTURES, "later": {"key": 1}}])
def test_a_record_comes_back_key_by_key(values: dict[str, Any], tmp_path: Any) -> None:
    again = RunRecord.from_dict(values).to_dict()
    assert again == values
    assert list(again) == list(values)
    assert digest_of(again) == digest_of(values)
    path = RunFolder(tmp_path).record_path
    write_record(path, again)
    run = Run(tmp_path)
    assert run.info.to_dict() == run.record


def test_it_has_types(tmp_path: Any) -> None:
    record = RunRecord.from_dict(PICTURES)
    assert (record.network, record.data.source, record.scene, record.is_complete) == ("resnet_9", "pets", None, False)
    assert record.best_epoch == 0
    scene = RunRecord.from_dict({**SCENE, "status": "complete", "best": {"epoch": 7}})
    assert scene.scene is not None
    assert (scene.scene.window, scene.is_complete, scene.best_epoch) == (25, True, 7)


@pytest.mark.parametrize(
    ("change", "field"), [({"model": None}, "model"), ({"seed": "3", **SCENE, "scene": {}}, "scene.window")]
)
def test_a_record_that_lacks_a_field_names_it(change: dict[str, Any], field: str, tmp_path: Any) -> None:
    values = {key: value for key, value in {**PICTURES, **change}.items() if value is not None or key != "model"}
    write_json(RunFolder(tmp_path).record_path, values)
    with pytest.raises(RunError, match=rf"run\.json is not as `fit` wrote it: it has no {field}"):
        _ = Run(tmp_path).info
