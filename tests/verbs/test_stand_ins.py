"""A Run, a Bundle and a Path are taken wherever their names are, and a bundle's time is that of its own engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pennyweight as pw
from pennyweight.core.errors import InputError
from pennyweight.verbs.weigh import weigh_all


@pytest.mark.parametrize("form", ["path", *(pytest.param(form, marks=pytest.mark.slow) for form in ("object", "text"))])
def test_a_run_stands_for_its_folder(
    trained: pw.Run, shapes: Path, tmp_path: Path, fit_small: Callable[..., pw.Run], form: str
) -> None:
    run: Any = {"object": trained, "path": trained.folder, "text": str(trained.folder)}[form]
    assert pw.weigh(run).params == pw.weigh(trained.folder).params
    assert pw.evaluate(run).to_dict()["accuracy"] == trained.evaluation["accuracy"]
    assert pw.load(run).labels == ("blue", "green", "red")
    model = trained.record["model"]
    how: dict[str, Any] = {"num_classes": 3, "stem": model["stem"], **model["config"]}
    created = pw.create(model["name"], weights=run, **how).state_dict()
    kept = pw.load_weights(pw.create(model["name"], **how), run).state_dict()
    assert all(torch.equal(value, kept[key]) for key, value in created.items())
    assert pw.load(model["name"], weights=run, config=model["config"]).labels == ("blue", "green", "red")
    if form == "object":
        # As text these are tested where `fit` is.
        made = fit_small(shapes, weights=run, out=tmp_path / "more")
        assert made.record["asked"]["weights"] == str(trained.folder)
        taught = fit_small(shapes, teacher=run, out=tmp_path / "taught")
        assert taught.record["asked"]["teacher"] == str(trained.folder)
        assert pw.export(run, tmp_path / "made.onnx").path.exists()


@pytest.mark.parametrize("form", ["object", *(pytest.param(form, marks=pytest.mark.slow) for form in ("path", "text"))])
def test_a_bundle_stands_for_its_file(trained: pw.Run, bundle: pw.Bundle, shapes: Path, form: str) -> None:
    given: Any = {"object": bundle, "path": bundle.path, "text": str(bundle.path)}[form]
    assert pw.weigh(given).params == pw.weigh(trained).params
    assert pw.evaluate(given, shapes) == pw.evaluate(bundle, str(shapes))
    assert pw.load(given).labels == bundle.manifest.labels
    with pytest.raises(InputError, match=r"shapes\.onnx is a bundle already"):
        pw.export(given)
    with pytest.raises(InputError, match=r"a teacher is the folder of a run.*shapes\.onnx"):
        pw.fit(shapes, teacher=given, progress=False)


def test_a_run_in_a_folder_called_as_a_network_is_the_run(
    trained: pw.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mobilenet_v2").symlink_to(trained.folder)
    assert pw.weigh(pw.Run(Path("mobilenet_v2"))).params == pw.weigh(trained).params
    assert pw.weigh(Path("mobilenet_v2")).params == pw.weigh(trained).params
    assert pw.weigh("mobilenet_v2").params == 3_504_872
    assert pw.weigh(Path("mobilenet_v1")).params == pw.weigh("mobilenet_v1").params


def test_a_bundle_is_timed_on_its_engine(trained: pw.Run, bundle: pw.Bundle) -> None:
    import onnxruntime

    shipped, run = weigh_all([bundle, trained], measure=True, repeats=2, batch=3)
    assert shipped.timing is not None
    assert run.timing is not None
    assert shipped.timing.engine == f"onnxruntime {onnxruntime.__version__}"
    assert run.timing.engine.startswith("torch ")
    assert shipped.timing.batch == run.timing.batch == 3
    assert shipped.timing.threads == run.timing.threads == torch.get_num_threads()
    assert shipped.timing.median_ms > 0
    with pytest.raises(InputError, match="is measured with its own inputs of 3x16x16, not 3x32x32"):
        weigh_all([bundle], (3, 32, 32), measure=True)
