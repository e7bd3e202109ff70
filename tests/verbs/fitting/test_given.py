"""What a program passes trains as the folder with the same pictures does, bit for bit, and is scored like it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from torchvision.datasets import CIFAR10, ImageFolder

import pennyweight as pw
from pennyweight.core.errors import InputError, RunError, SourceError

Form = Callable[[list[Path]], Any]


@pytest.fixture(scope="module")
def fit_shapes(fit_small: Callable[..., pw.Run]) -> Callable[..., pw.Run]:
    return partial(fit_small, recipe={"epochs": 1, "batch": 16}, preflight=False)


@pytest.fixture(scope="module")
def of_folder(shapes: Path, fit_shapes: Callable[..., pw.Run], tmp_path_factory: pytest.TempPathFactory) -> pw.Run:
    return fit_shapes(shapes, out=tmp_path_factory.mktemp("of-folder") / "run")


@pytest.fixture(scope="module")
def files(shapes: Path) -> list[Path]:
    return sorted(shapes.glob("*/*.png"), reverse=True)


def labels(files: list[Path]) -> list[str]:
    return [file.parent.name for file in files]


def arrays(files: list[Path]) -> tuple[Any, list[str]]:
    return np.stack([np.asarray(Image.open(file)) for file in files]), labels(files)


def frame(files: list[Path]) -> Any:
    import pandas

    return pandas.DataFrame({"path": list(map(str, files)), "label": labels(files)})


def cifar(files: list[Path]) -> CIFAR10:
    """torchvision's class over these pictures, as if its archive had held them."""
    made = CIFAR10.__new__(CIFAR10)
    made.data, texts = arrays(files)
    made.classes = sorted(set(texts))
    made.targets = [made.classes.index(text) for text in texts]
    made.transform, made.target_transform = (lambda image: 1 / 0), None
    return made


def hub(files: list[Path]) -> Any:
    import datasets

    names = sorted(set(labels(files)))
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    columns = {
        "image": list(map(Image.fromarray, arrays(files)[0])),
        "label": [names.index(text) for text in labels(files)],
    }
    return datasets.Dataset.from_dict(columns, features=features)


FORMS: dict[str, Form] = {
    "`(images, labels)`": arrays,
    "a DataFrame of paths and labels": frame,
    "torchvision's `CIFAR10`": cifar,
    "torchvision's `ImageFolder`": lambda files: ImageFolder(str(files[0].parents[1])),
    "a `Dataset` of Hugging Face": hub,
}
"""Rows of the table in docs/sources.md."""
TRIED = [pytest.param(row, marks=() if form is arrays else pytest.mark.peers) for row, form in FORMS.items()]


def test_the_page_lists_what_is_tried_here() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")
    table = page.partition("| form | fingerprint and splits | weights |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines()]
    assert [row[0] for row in rows] == list(FORMS)
    assert {tuple(row[1:]) for row in rows} == {("those of the folder", "equal bit for bit")}


@pytest.mark.parametrize("form", TRIED)
def test_the_weights_are_those_of_the_folder(
    form: str, files: list[Path], of_folder: pw.Run, fit_shapes: Callable[..., pw.Run], tmp_path: Path
) -> None:
    source = FORMS[form](files)
    run = fit_shapes(source, out=tmp_path / "run")
    _equals(run, of_folder)
    _is_opened_by_no_name(run, source)
    _resumes_with_the_same(run, source, files, fit_shapes)


@pytest.fixture(scope="module")
def of_cifar(fit_shapes: Callable[..., pw.Run], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], pw.Run]:
    """1,000 pictures of CIFAR-10 as PNG files, and the run of their folder."""
    import pandas

    table = Path(os.environ.get("PENNYWEIGHT_DATA", "nowhere"), "cifar10-lossless", "test-00000-of-00001.parquet")
    if not table.exists():
        pytest.skip("there is no cifar10-lossless under PENNYWEIGHT_DATA")
    root = tmp_path_factory.mktemp("cifar") / "pictures"
    files = []
    for number, (image, label) in enumerate(pandas.read_parquet(table).head(1000).itertuples(index=False)):
        files.append(root / f"class{label}" / f"{number:04d}.png")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        files[-1].write_bytes(image["bytes"])
    return files, fit_shapes(root, out=root.parent / "run")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_cifar_10_in_every_form(
    form: str, of_cifar: tuple[list[Path], pw.Run], fit_shapes: Callable[..., pw.Run], tmp_path: Path
) -> None:
    files, of_folder = of_cifar
    _equals(fit_shapes(FORMS[form](files), out=tmp_path / "run"), of_folder)


def _equals(run: pw.Run, other: pw.Run) -> None:
    for key in ("fingerprint", "split_fingerprint", "labels", "counts"):
        assert run.record["data"][key] == other.record["data"][key]
    ours, theirs = load_file(run.weights_path), load_file(other.weights_path)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert run.evaluation["accuracy"] == other.evaluation["accuracy"]


def _is_opened_by_no_name(run: pw.Run, source: Any) -> None:
    assert any(
        "no name opens them again: resume and evaluate need them again" in n for n in run.record["data"]["notes"]
    )
    with pytest.raises(
        SourceError, match=r"passed, and no name opens them again; pass them, .*pw\.evaluate\(run, source"
    ):
        pw.evaluate(run)
    assert pw.evaluate(run, source).to_dict()["accuracy"] == run.evaluation["accuracy"]


def _resumes_with_the_same(run: pw.Run, source: Any, files: list[Path], fit_shapes: Callable[..., pw.Run]) -> None:
    weights = run.weights_path.read_bytes()
    assert fit_shapes(source, out=run.folder, resume=True).weights_path.read_bytes() == weights
    assert fit_shapes((files, labels(files)), out=run.folder, resume=True).folder == run.folder
    with pytest.raises((InputError, RunError), match="data"):
        fit_shapes((files[3:], labels(files)[3:]), out=run.folder, resume=True)


def test_the_folder_s_run_scores_arrays_as_its_own(trained: pw.Run, files: list[Path]) -> None:
    assert pw.evaluate(trained, arrays(files)).to_dict()["images"] == trained.evaluation["images"]


PREDICTED: dict[str, Form] = {
    "an array": lambda files: arrays(files)[0],
    "arrays with labels": arrays,
    "a list of arrays": lambda files: list(arrays(files)[0]),
    "images": lambda files: [Image.open(file) for file in files],
    "columns": lambda files: {"path": files},
    "records": lambda files: [{"image": file.read_bytes()} for file in files],
    "a data set": cifar,
    "floats": lambda files: arrays(files)[0] / np.float32(255),
}


@pytest.mark.parametrize("form", PREDICTED)
def test_predict_takes_them_without_labels(form: str, trained: pw.Run, files: list[Path]) -> None:
    expected = [answer.to_dict()["top"] for answer in pw.predict(trained, files[:3])]
    assert [answer.to_dict()["top"] for answer in pw.predict(trained, PREDICTED[form](files[:3]))] == expected
    assert len(expected) == 3


def test_predict_takes_addresses_of_files_and_asks_no_other_machine_offline(
    trained: pw.Run, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", "1")
    first, second = pw.predict(trained, [files[0].as_uri(), "http://example.org/a.png"])
    assert first.to_dict()["top"] == next(iter(pw.predict(trained, files[0]))).to_dict()["top"]
    assert second.to_dict()["error"].startswith(
        "PENNYWEIGHT_OFFLINE is set, so http://example.org/a.png is not fetched"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"train": (np.zeros((1, 4, 4, 3), np.uint8), [0])},
            r"of one are meant: source\[NAME\], NAME of train",
        ),
        (5, "pictures were expected: paths, open files, arrays or Pillow images, not int 5"),
        ({"label": [1]}, "pictures need one of image"),
    ],
)
def test_predict_refuses_what_holds_no_pictures(trained: pw.Run, given: Any, message: str) -> None:
    with pytest.raises(pw.PennyweightError, match=message):
        list(pw.predict(trained, given))


def test_others_take_them_too(files: list[Path], tmp_path: Path) -> None:
    given = arrays(files)
    assert pw.doctor(given, quick=True).counts == pw.doctor(files[0].parents[1], quick=True).counts
    packed = pw.pack(given, tmp_path / "shards")
    from pennyweight import data

    assert data.open(packed.address).fingerprint == data.open(given).fingerprint
    with pytest.raises(InputError, match="arrays needs no index"):
        pw.index(given)  # type: ignore[arg-type]
