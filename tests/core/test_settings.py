"""Dataclasses changed by name, with their types kept."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import pytest

from pennyweight.core.errors import InputError
from pennyweight.core.settings import override, parse_pairs


class Row(NamedTuple):
    channels: int
    stride: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    epochs: int = 3
    lr: float = 0.1
    flip: bool = True
    name: str = "net"
    act: Literal["relu", "relu6"] = "relu"
    limit: int | None = None
    rows: tuple[Row, ...] = (Row(1, 2),)
    blocks: tuple[int, ...] = (1, 0)

    def __post_init__(self) -> None:
        if self.epochs == 99:
            raise InputError("its own rule")


TAKEN = [
    ("epochs", "5", 5),
    ("epochs", 5, 5),
    ("epochs", 5.0, 5),
    ("epochs", "-5", -5),
    ("lr", "1e-3", 0.001),
    ("lr", 1, 1.0),
    ("lr", "1", 1.0),
    ("flip", "false", False),
    ("flip", "No", False),
    ("flip", "0", False),
    ("flip", "TRUE", True),
    ("flip", "yes", True),
    ("flip", False, False),
    ("name", "5", "5"),
    ("act", "relu6", "relu6"),
    ("limit", "none", None),
    ("limit", None, None),
    ("limit", "7", 7),
    ("rows", (Row(3, 4),), (Row(3, 4),)),
    ("rows", ((3, 4), (5, 6)), (Row(3, 4), Row(5, 6))),
    ("rows", [[3, 4]], (Row(3, 4),)),
    ("rows", [], ()),
    ("rows", "[[3, 4], [5, 6]]", (Row(3, 4), Row(5, 6))),
    ("blocks", "2,1", (2, 1)),
    ("blocks", "[2, 1]", (2, 1)),
    ("blocks", [2, 1.0], (2, 1)),
    ("blocks", "3", (3,)),
]

REFUSED = [
    ("epochs", "2.5", "a whole number"),
    ("epochs", 2.5, "a whole number"),
    ("epochs", "many", "a whole number"),
    ("epochs", "", "a whole number"),
    ("epochs", None, "a whole number"),
    ("epochs", True, "a whole number"),
    ("epochs", float("inf"), "a whole number"),
    ("lr", "fast", "a number"),
    ("lr", True, "a number"),
    ("lr", [1.0], "a number"),
    ("flip", "maybe", "true or false"),
    ("flip", 1, "true or false"),
    ("name", 5, "str"),
    ("act", "gelu", "one of relu, relu6"),
    ("act", ["relu"], "one of relu, relu6"),
    ("limit", "2.5", "a whole number or none"),
    ("limit", False, "a whole number or none"),
    ("rows", "1,2", "a list of [channels, stride]"),
    ("rows", "x", "a list of [channels, stride]"),
    ("blocks", "1,x", "a list, each a whole number"),
    ("blocks", [0.5], "a list, each a whole number"),
    ("rows", [[1, 2, 3]], "a list of [channels, stride]"),
    ("rows", [1], "a list of [channels, stride]"),
]


@pytest.mark.parametrize(("field", "value", "expected"), TAKEN)
def test_a_value_becomes_the_fields_type(field: str, value: Any, expected: Any) -> None:
    changed = override(Settings(), {field: value}, what="test")
    result = getattr(changed, field)
    assert result == expected
    assert type(result) is type(expected)
    if field == "rows":
        assert all(isinstance(row, Row) for row in result)


@pytest.mark.parametrize(("field", "value", "rule"), REFUSED)
def test_a_value_of_another_type_is_refused_with_the_value_and_the_rule(field: str, value: Any, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        override(Settings(), {field: value}, what="recipe")
    message = str(caught.value)
    assert f"recipe field '{field}' must be {rule}" in message
    assert repr(value) in message
    assert "\n" not in message


def test_only_what_is_named_changes_and_the_original_stays() -> None:
    before = Settings()
    changed = override(before, {"epochs": "4", "flip": "no"}, what="test")
    assert asdict(changed) == asdict(before) | {"epochs": 4, "flip": False}
    assert before == Settings()
    assert override(before, {}, what="test") == before


def test_settings_come_back_from_json() -> None:
    before = Settings(rows=(Row(3, 4), Row(5, 6)), limit=8, lr=0.25)
    kept = json.loads(json.dumps({field: getattr(before, field) for field in asdict(before)}))
    assert override(Settings(), kept, what="test") == before


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown recipe field 'epoch'; did you mean 'epochs'\?"):
        override(Settings(), {"epoch": 4}, what="recipe")
    with pytest.raises(InputError, match=r"'zzz'; it has epochs, lr, flip"):
        override(Settings(), {"zzz": 4}, what="recipe")


def test_the_dataclasss_own_rules_hold() -> None:
    with pytest.raises(InputError, match="its own rule"):
        override(Settings(), {"epochs": "99"}, what="test")


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert parse_pairs(["width=0.5", " act = relu6 ", "name=a=b", "empty="], "--config", example="width=0.5") == {
        "width": "0.5",
        "act": "relu6",
        "name": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("pair", ["width", "=0.5", " =1", ""])
def test_what_is_no_pair_is_refused_with_an_example(pair: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_pairs([pair], "--config", example="width=0.5")
    assert f"--config '{pair}' is not NAME=VALUE" in str(caught.value)
    assert "--config width=0.5" in str(caught.value)
