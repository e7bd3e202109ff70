"""A budget reads limits as people write them, and says which of them a network breaks."""

import pytest

from pennyweight.core.budget import LIMITS, Budget
from pennyweight.core.errors import InputError


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ms", "8", 8.0),
        ("ms", "8ms", 8.0),
        ("ms", " 0.5 s ", 500.0),
        ("ms", 5, 5.0),
        ("ms", "250us", 0.25),
        ("params", "4M", 4_000_000),
        ("params", "4m", 4_000_000),
        ("params", "350k", 350_000),
        ("params", "3,500,000", 3_500_000),
        ("params", 4_000_000, 4_000_000),
        ("macs", "1.2G", 1_200_000_000),
        ("macs", "3e8", 300_000_000),
        ("size_bytes", "4MB", 4_000_000),
        ("size_bytes", "4MiB", 4 << 20),
        ("memory_bytes", "20MB", 20_000_000),
        ("accuracy", "97%", 0.97),
        ("accuracy", 0.97, 0.97),
        ("accuracy", "1", 1.0),
    ],
)
def test_limits_are_read_with_their_units(name: str, text: object, value: float) -> None:
    assert getattr(Budget.parse(**{name: text}), name) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ms", "8MB"), ("ms", "0"), ("ms", "-3"), ("ms", "nan"), ("ms", "inf"), ("ms", ""), ("ms", True),
        ("ms", "8,5"), ("ms", "1,00"), ("params", "4 apples"), ("params", "4MB"), ("params", "0.5"),
        ("macs", "4X"), ("macs", "4ms"), ("size_bytes", "4ms"), ("memory_bytes", "0MB"),
        ("accuracy", "0"), ("accuracy", "130%"), ("accuracy", "good"), ("accuracy", True),
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused_in_a_line(name: str, text: object) -> None:
    with pytest.raises(InputError) as refused:
        Budget.parse(**{name: text})
    message = str(refused.value)
    assert "\n" not in message
    assert f"--{name.removesuffix('_bytes')}" in message


def test_an_accuracy_from_one_to_a_hundred_is_asked_back() -> None:
    with pytest.raises(InputError, match=r"did you mean --accuracy 97%\?"):
        Budget.parse(accuracy="97")


def test_a_budget_says_which_limits_are_broken_and_by_how_much() -> None:
    budget = Budget.parse(ms="8", params="4M", accuracy="70%")
    assert budget.excesses({"ms": 8.0, "params": 4_000_000, "accuracy": 0.7}) == {}
    broken = budget.excesses({"ms": 10.0, "params": 1, "accuracy": 0.63})
    assert broken == {"ms": pytest.approx(0.25), "accuracy": pytest.approx(0.1)}


def test_a_budget_describes_itself_in_a_line() -> None:
    shown = repr(Budget.parse(ms="8", size_bytes="4MB", accuracy=0.97))
    assert shown == "Budget(milliseconds: at most 8 ms; file size: at most 4 MB; accuracy: at least 97.0%)"
    assert repr(Budget()) == "Budget()"


def test_every_field_of_a_budget_has_a_limit() -> None:
    assert set(LIMITS) == set(Budget.__dataclass_fields__)


def test_a_decimal_comma_is_no_thousands_separator() -> None:
    assert Budget.parse(ms="1,000").ms == 1000
    with pytest.raises(InputError, match=r"not str '8,5ms'; did you mean 8\.5ms\?"):
        Budget.parse(ms="8,5ms")


def test_a_size_without_its_unit_is_shown_in_bytes() -> None:
    assert dict(Budget.parse(size_bytes="4").described()) == {"file size": "at most 4 bytes"}
