"""A setting is found under the name that another library gives it."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import pennyweight as pw
from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.core.settings import override
from pennyweight.core.synonyms import NAMES, VALUES, meant
from pennyweight.train import Recipe
from pennyweight.verbs.fit import FitOptions
from pennyweight.verbs.fitting.framing import FrameChoice

RECIPE = [field.name for field in fields(Recipe)]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("learning_rate", "lr"),
        ("Learning-Rate", "lr"),
        ("LR", "lr"),
        ("batch_size", "batch"),
        ("num_epochs", "epochs"),
        ("epoch", "epochs"),
        ("wd", "weight_decay"),
        ("weight-decay", "weight_decay"),
        ("optim", "optimizer"),
        ("smoothing", "label_smoothing"),
        ("scheduler", "schedule"),
        ("warmup", "warmup_epochs"),
        ("gradient_accumulation_steps", "accumulate"),
        ("max_grad_norm", "clip_norm"),
        ("drop_path_rate", "drop_path"),
        ("layer_decay", "rate_decay"),
        ("fp16", "precision"),
        ("label_smoothin", "label_smoothing"),
    ],
)
def test_a_field_of_the_recipe_is_answered_with_ours(theirs: str, ours: str) -> None:
    with pytest.raises(InputError, match=f"unknown recipe field '{theirs}'; did you mean '{ours}'\\?"):
        override(Recipe(), {theirs: "1"}, what="recipe")


@pytest.mark.parametrize(
    ("field", "value", "ours"),
    [
        ("optimizer", "AdamW", "adamw"),
        ("optimizer", "SGD", "sgd"),
        ("schedule", "CosineAnnealingLR", "cosine"),
        ("schedule", "one_cycle", "one-cycle"),
        ("precision", "bf16", "bfloat16"),
        ("policy", "RandAugment", "rand"),
        ("layout", "channels-last", "channels_last"),
        ("mode", "fine-tune", "finetune"),
    ],
)
def test_a_value_is_answered_with_ours(field: str, value: str, ours: str) -> None:
    with pytest.raises(InputError, match=f"not '{value}'; did you mean '{ours}'\\?"):
        override(Recipe(), {field: value}, what="recipe")


@pytest.mark.parametrize(
    ("theirs", "ours"), [("width_mult", "width"), ("drop_rate", "dropout"), ("norm_eps", "bn_eps")]
)
def test_a_field_of_a_network_is_answered_with_ours(theirs: str, ours: str) -> None:
    with pytest.raises(InputError, match=f"unknown Config field '{theirs}'; did you mean '{ours}'"):
        zoo.create("mobilenet_v2", **{theirs: 0.5})


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"learning_rate": 0.1}, "fit has no 'learning_rate'; it is a field of the recipe: recipe={'lr': …}"),
        ({"batch": 8}, "fit has no 'batch'; it is a field of the recipe: recipe={'batch': …}"),
        ({"width_mult": 0.5}, "fit has no 'width_mult'; it is a field of the network's Config: config={'width': …}"),
        ({"output_dir": "x"}, "fit has no 'output_dir'; did you mean 'out'?"),
        ({"sed": 1}, "fit has no 'sed'; did you mean 'seed'?"),
        ({"img_size": 32}, "fit has no 'img_size'; did you mean 'input_size'?"),
        ({"seeds": 3}, "fit has no 'seeds'; pw.fit_seeds trains once per seed"),
        ({"zzz": 1}, "fit has no 'zzz'; it takes source, model, "),
    ],
)
def test_an_argument_of_fit_is_answered_with_its_place(said: dict[str, Any], answer: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        pw.fit(tmp_path, **said)
    assert str(caught.value).startswith(answer)


def test_every_row_is_a_name_of_ours() -> None:
    known = {
        *RECIPE,
        *inspect.signature(pw.fit).parameters,
        *FitOptions.__annotations__,
        *inspect.signature(pw.create).parameters,
    }
    known |= {field.name for name in zoo.names() for field in fields(zoo.variant(name).config)}
    assert NAMES.keys() <= known
    hints = get_type_hints(Recipe)
    assert VALUES.keys() <= {*get_args(FrameChoice), *(value for field in RECIPE for value in get_args(hints[field]))}


def test_no_name_of_ours_means_another() -> None:
    """What is right is never corrected."""
    assert all(meant(name, RECIPE) == name for name in RECIPE)
