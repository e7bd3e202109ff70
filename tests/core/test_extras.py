"""The command that adds what is missing."""

import importlib.metadata

import pytest

from pennyweight.core.errors import MissingPart
from pennyweight.core.extras import EXTRAS, missing_part


@pytest.mark.parametrize("module", ["torch", "torch.nn"])
def test_a_missing_part_is_named_with_its_command(module: str) -> None:
    error = missing_part(ModuleNotFoundError("no", name=module))
    assert isinstance(error, MissingPart)
    assert "needs torch" in str(error)
    assert "pip install 'pennyweight[train]'" in str(error)


@pytest.mark.parametrize("name", ["somebody_elses", None])
def test_a_module_of_somebody_else_is_not_ours_to_explain(name: str | None) -> None:
    assert missing_part(ModuleNotFoundError("no", name=name)) is None


def test_every_command_names_an_extra_that_exists() -> None:
    provided = importlib.metadata.metadata("pennyweight").get_all("Provides-Extra") or []
    assert set(EXTRAS.values()) <= set(provided)
