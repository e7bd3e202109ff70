"""A recipe refuses what cannot be trained with, in one line that names the field."""

import dataclasses
import json
import math
from typing import Any

import pytest

from pennyweight.core.errors import InputError
from pennyweight.train import Recipe

WRONG = {
    "first_size": [0, -0.5, 1.1, math.nan],
    "epochs": [0, -1],
    "batch": [1, 0, -8],
    "mode": ["auto", ""],
    "accumulate": [0, 17],
    "optimizer": ["lion", ""],
    "schedule": ["step"],
    "layout": ["nchw"],
    "precision": ["float16"],
    "clip_norm": [-1.0, math.nan, math.inf],
    "drop_path": [1.0, -0.1],
    "ema": [1.0, -0.1, math.nan],
    "patience": [-1],
    "views": [-1],
    "head_epochs": [0],
    "head_lr": [0.0, math.nan],
    "rate_decay": [0.0, 1.1, math.nan],
    "distill_share": [-0.1, 1.1, math.nan],
    "temperature": [0.0, math.inf],
    "lr": [0.0, -0.1, math.nan, math.inf],
    "momentum": [1.0, -0.1, math.nan],
    "weight_decay": [-1e-9, math.nan, math.inf],
    "warmup_epochs": [-1.0, math.nan, math.inf],
    "label_smoothing": [1.0, -0.1, math.nan],
    "shift": [-0.1, 0.6, math.nan],
    "policy": ["random", ""],
    "erase": [-0.1, 1.1, math.nan],
    "mixup": [-0.1, math.nan, math.inf],
    "cutmix": [-0.1, math.nan, math.inf],
    "balance": ["equal", ""],
    "without": [("colour",), ("color", "flip")],
}
EDGES = {
    "first_size": 1.0,
    "epochs": 1,
    "batch": 2,
    "optimizer": "sgd",
    "lr": 1e-12,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "warmup_epochs": 0.0,
    "label_smoothing": 0.0,
    "shift": 0.5,
    "policy": "rand",
    "without": ("color", "equalize"),
    "erase": 1.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "balance": "sampling",
    "accumulate": 16,
    "rate_decay": 1.0,
    "distill_share": 1.0,
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_value_out_of_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(InputError) as raised:
        Recipe(**{field: value})
    message = str(raised.value)
    assert f"'{field}' must be " in message
    assert message.endswith(f"not {value}")


@pytest.mark.parametrize(("field", "value"), EDGES.items())
def test_the_edge_of_the_range_is_inside(field: str, value: Any) -> None:
    assert getattr(Recipe(**{field: value}), field) == value


def test_every_number_of_a_recipe_has_a_rule() -> None:
    ruled = {field.name for field in dataclasses.fields(Recipe)} - {"flip", "compile", "freeze_norms"}
    assert set(WRONG) == ruled


def test_it_is_kept_as_json_and_comes_back() -> None:
    recipe = Recipe(epochs=3, optimizer="sgd", lr=0.1, flip=False)
    assert Recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe
