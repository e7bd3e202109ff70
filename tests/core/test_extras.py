"""The command that adds what is missing."""

import importlib.metadata
import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pennyweight.core import extras
from pennyweight.core.errors import MissingPart
from pennyweight.core.extras import EXTRAS, install_command, missing_part


@pytest.mark.parametrize("module", ["torch", "torch.nn"])
def test_a_missing_part_is_named_with_its_command(module: str) -> None:
    error = missing_part(ModuleNotFoundError("no", name=module))
    assert isinstance(error, MissingPart)
    assert "needs torch" in str(error)
    assert str(error).endswith(f"add it with: {install_command('train')}")


@pytest.mark.parametrize("name", ["somebody_elses", None])
def test_a_module_of_somebody_else_is_not_ours_to_explain(name: str | None) -> None:
    assert missing_part(ModuleNotFoundError("no", name=name)) is None


def test_every_command_names_an_extra_that_exists() -> None:
    provided = importlib.metadata.metadata("pennyweight").get_all("Provides-Extra") or []
    assert set(EXTRAS.values()) <= set(provided)


def test_from_a_checkout_the_command_names_its_folder() -> None:
    pip, install, editable, what = shlex.split(install_command("train"))
    assert (pip, install, editable) == ("pip", "install", "-e")
    assert what.endswith("[train]")
    assert (Path(what.removesuffix("[train]")) / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (None, "pennyweight[train]==1.2.3"),
        ({"url": "file:///a%20folder/it", "dir_info": {}}, "/a folder/it[train]"),
        (
            {"url": "file:///w/pennyweight-1.2.3-py3-none-any.whl", "archive_info": {}},
            "pennyweight[train] @ file:///w/pennyweight-1.2.3-py3-none-any.whl",
        ),
        (
            {"url": "https://host/it.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "pennyweight[train] @ git+https://host/it.git@12ab",
        ),
    ],
)
def test_installed_from_elsewhere_the_command_goes_there(
    said: dict[str, Any] | None, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = None if said is None else json.dumps(said)
    installed = SimpleNamespace(version="1.2.3", read_text=lambda name: text)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: installed)
    monkeypatch.setattr(extras, "_is_checkout", lambda folder: False)
    assert shlex.split(install_command("train")) == ["pip", "install", what]
