"""Several bundles; a changed file is taken up once it opens, and a broken one leaves the earlier one serving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pennyweight.core.errors import BundleError, InputError
from pennyweight.core.strangers import StrangerRule
from pennyweight.serve.models import Models, places_of

OTHER = ("rot", "verde", "bleu")


def look_twice(client: Any) -> None:
    """Look until a change has settled, as the server does once a second."""
    for _ in range(2):
        asyncio.run_coroutine_threadsafe(client.service.look(), client.service.loop).result(10)


def test_a_changed_file_is_taken_up_and_a_broken_one_is_not(
    serving: Callable[..., Any],
    write_bundle: Callable[..., Path],
    picture_file: Callable[..., bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pennyweight.serve import service

    monkeypatch.setattr(service, "LOOK_S", 1000.0)
    path, red = write_bundle(tmp_path / "model.onnx"), picture_file((200, 0, 0))
    with serving([str(path)]) as client:

        def answer() -> tuple[str, str]:
            found = client("POST", "/predict", red).json
            return found["predictions"][0]["label"], found["sha256"]

        def metric(name: str) -> float:
            lines = client("GET", "/metrics").body.decode().splitlines()
            return next(float(line.split()[1]) for line in lines if line.startswith(name))

        first = answer()
        assert first[0] == "red"
        assert metric('pennyweight_bundle_broken{model="model"}') == 0
        whole = path.read_bytes()
        for broken in (whole[:-100], b"junk", whole.replace(b"ReduceMean", b"ReduceMeat")):
            path.write_bytes(broken)
            look_twice(client)
            assert answer() == first
            assert metric('pennyweight_bundle_broken{model="model"}') == 1
        assert metric('pennyweight_bundle_reloads_total{model="model",outcome="failed"}') == 3
        path.unlink()
        look_twice(client)
        assert answer() == first
        write_bundle(tmp_path / "new.onnx", labels=OTHER)
        (tmp_path / "new.onnx").replace(path)
        look_twice(client)
        assert answer()[0] == "rot"
        assert answer()[1] != first[1]
        assert metric('pennyweight_bundle_broken{model="model"}') == 0
        assert metric('pennyweight_bundle_reloads_total{model="model",outcome="loaded"}') == 1
    log = [line for line in capsys.readouterr().err.splitlines() if "has changed" in line]
    assert len(log) == 5
    assert all(
        f"{path} has changed and cannot be used; model {first[1][:12]} is served further" in line for line in log[:4]
    )
    assert "is served now" in log[4]


def test_a_file_that_is_being_written_waits_until_it_settles(write_bundle: Callable[..., Path], tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "model.onnx")
    models = Models(places_of([str(path)]), StrangerRule(), None)
    whole = write_bundle(tmp_path / "new.onnx", labels=OTHER).read_bytes()
    for length in (100, 200, len(whole)):
        path.write_bytes(whole[:length])
        assert models.look() == []
    (change,) = models.look()
    assert change.model is not None
    assert change.model.labels == OTHER
    assert models.look() == []


def test_several_bundles_have_names(write_bundle: Callable[..., Path], tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "model.onnx")
    run = tmp_path / "cats-run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with pytest.raises(BundleError, match=f"pennyweight export {run}"):
        places_of([str(run)])
    write_bundle(run / "model.onnx")
    places = places_of([str(path), str(run), f"second={path}"])
    assert [(place.name, place.path) for place in places] == [
        ("model", path),
        ("cats-run", run / "model.onnx"),
        ("second", path),
    ]
    models = Models(places, StrangerRule(), None)
    assert [model.name for model in models] == ["model", "cats-run", "second"]
    with pytest.raises(InputError, match=f"name one: model-2={path}"):
        places_of([str(path), str(path)])
    with pytest.raises(InputError, match="name it: my-model="):
        places_of([f"a b={path}"])
    with pytest.raises(BundleError, match="is a folder, and a bundle is a file"):
        places_of([str(tmp_path)])


@pytest.mark.parametrize(("content", "said"), [(None, "no bundle at"), (b"junk", "not a whole ONNX file")])
def test_a_bundle_that_cannot_be_opened_is_one_line_with_its_own_path(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError) as raised:
        Models(places_of([str(path)]), StrangerRule(), None)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)
    assert "pennyweight-serve-" not in str(raised.value)
