"""Error kinds, and the nearest choice."""

import pytest

from pennyweight.core import errors


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name not in ("nearest", "received")])
def test_every_error_is_caught_as_pennyweights_own(name: str) -> None:
    kind = getattr(errors, name)
    with pytest.raises(errors.PennyweightError, match="reason"):
        raise kind("reason")


@pytest.mark.parametrize(("kind", "plain"), [(errors.InputError, ValueError), (errors.MissingPart, ImportError)])
def test_errors_that_have_a_builtin_kind_are_caught_by_it(kind: type[Exception], plain: type[Exception]) -> None:
    with pytest.raises(plain):
        raise kind("reason")


def test_nearest_names_the_closest_choice() -> None:
    assert errors.nearest("mobilnet_v2", ["mobilenet_v1", "mobilenet_v2"]) == "; did you mean 'mobilenet_v2'?"


def test_nearest_says_otherwise_when_nothing_is_close() -> None:
    assert errors.nearest("zebra", ["mobilenet_v2"]) == ""
    assert errors.nearest("zebra", iter(["mobilenet_v2"]), otherwise="; see the list") == "; see the list"


@pytest.mark.parametrize(("given", "meant"), [("MobileNet_V2", "mobilenet_v2"), ("VIT_B", "ViT_b"), ("AUTO", "auto")])
def test_nearest_takes_small_and_capital_letters_for_alike(given: str, meant: str) -> None:
    assert errors.nearest(given, ["mobilenet_v2", "ViT_b", "auto", "AUTO"]) == f"; did you mean '{meant}'?"
