"""What a figure was measured on."""

import json
import os
import platform
from importlib import metadata

from pennyweight.core.machine import cores, machine, machine_line, versions


def test_the_machine_is_described_in_json() -> None:
    described = json.loads(json.dumps(machine()))
    assert described["processor"].strip()
    assert described["python"] == platform.python_version()
    assert platform.system() in described["system"]
    assert 1 <= described["cores"] == cores() <= (os.cpu_count() or 1)


def test_versions_are_those_installed() -> None:
    found = versions()
    assert {"pennyweight", "torch", "numpy", "onnxruntime"} <= set(found)
    assert all(metadata.version(package) == version for package, version in found.items())


def test_the_machine_is_described_in_a_line(monkeypatch) -> None:
    assert machine_line().startswith(f"processor {machine()['processor']}, cores {cores()}, ")
    assert machine_line().endswith(f", torch {versions()['torch']}")
    monkeypatch.setattr("pennyweight.core.machine.PACKAGES", ("numpy",))
    assert "torch" not in machine_line()


def test_a_package_that_is_not_installed_is_left_out(monkeypatch) -> None:
    monkeypatch.setattr("pennyweight.core.machine.PACKAGES", ("numpy", "no-such-package"))
    assert list(versions()) == ["numpy"]
