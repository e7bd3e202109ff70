"""What other libraries would report to their makers is off before they are imported."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pennyweight.core.telemetry import OFF, switch_off_telemetry

LOADED = """
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper
from pennyweight.runtime.onnx_engine import OnnxEngine

pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1])
graph = helper.make_graph([helper.make_node("Relu", ["pixels"], ["logits"])], "g", [pixels],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1])])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), sys.argv[1])
OnnxEngine(__import__("pathlib").Path(sys.argv[1]))
"""


def test_importing_pennyweight_switches_every_report_off() -> None:
    mine = {name: value for name, value in os.environ.items() if name not in OFF}
    program = f"import os, pennyweight; print([os.environ[name] for name in {list(OFF)}])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=mine)
    assert done.stdout.strip() == str(list(OFF.values()))


def test_a_users_own_setting_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    switch_off_telemetry()
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "0"


def test_onnxruntime_writes_no_device_id(tmp_path: Path, users_environment: Mapping[str, str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", LOADED, str(tmp_path / "m.onnx")]
    subprocess.run(command, check=True, env={**users_environment, "HOME": str(home)})
    assert list(home.rglob("*")) == []
