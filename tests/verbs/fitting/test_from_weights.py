"""`fit --weights FILE` without a model makes the network that the file says, or looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.verbs.fitting.framing import FramingRequest
from pennyweight.verbs.fitting.plan import make_plan


def with_replanned_epochs(source: Path, weights: Path, **options: Any) -> Any:
    resume_note: dict[str, Any] = {"recipe": None, "framing": FramingRequest(), "stem": None, "config": {}, "seed": 0}
    return make_plan(data.open(source), "auto", pictures=30, weights=weights, **resume_note | options)


def test_fit_makes_the_network_that_a_file_looks_like(shapes: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": zoo.create("shufflenet_v2_x0_5", num_classes=3).state_dict()}, tmp_path / "w.pth")
    plan = with_replanned_epochs(shapes, tmp_path / "w.pth")
    assert plan.model["name"] == "shufflenet_v2_x0_5"
    assert "network shufflenet_v2_x0_5: w.pth has its names and shapes" in plan.why


def test_fit_makes_the_network_that_a_file_names(shapes: Path, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    state = zoo.create("mobilenet_v1_x0_25", num_classes=3).state_dict()
    save_file(state, file, metadata={"network": "mobilenet_v1_x0_25"})
    plan = with_replanned_epochs(shapes, file)
    assert plan.model["name"] == "mobilenet_v1_x0_25"
    assert "network mobilenet_v1_x0_25: w.safetensors names it in its metadata" in plan.why
    save_file(state, file, metadata={"network": "somebody's own"})
    assert with_replanned_epochs(shapes, file).model["name"] == "mobilenet_v1_x0_25"
    torch.save({"w": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="name it with --model"):
        with_replanned_epochs(shapes, tmp_path / "w.pth")
