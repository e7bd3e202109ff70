"""A table that is read by named columns: the run remembers how, and a resumed run notices another way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import RunError

READ = {"columns": {"path": "id", "label": "breed"}, "ending": ".png"}


@pytest.fixture(scope="module")
def table(draw_colours: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.csv with ids of pictures that lie in another folder."""
    root = tmp_path_factory.mktemp("kaggle")
    pictures = draw_colours(root / "pictures", 12)
    rows = [f"{path.parent.name}/{path.stem},{path.parent.name}" for path in sorted(pictures.rglob("*.png"))]
    (root / "table").mkdir()
    (root / "table" / "train.csv").write_text("\n".join(["id,breed", *rows]) + "\n")
    return root / "table" / "train.csv"


@pytest.fixture
def resume_note(table: Path) -> dict[str, object]:
    return {**READ, "pictures": table.parent.parent / "pictures"}


def test_a_run_remembers_how_its_source_is_read(
    table: Path, resume_note: dict[str, object], tmp_path: Path, fit_small: Callable[..., pw.Run]
) -> None:
    run = fit_small(table, out=tmp_path / "run", read_as=resume_note)
    assert run.record["data"]["read_as"] == dict(data.open(table, read_as=resume_note).read_as)
    scored = pw.evaluate(run).to_dict()
    assert pw.evaluate(run, str(table)).to_dict() == scored
    assert pw.evaluate(run, str(table), read_as=resume_note).to_dict() == scored
    again = fit_small(table, out=tmp_path / "run", read_as=resume_note, resume=True)
    assert again.record == run.record
    elsewhere = {**resume_note, "label_from": "^([a-z]+)/", "columns": {"path": "id"}}
    with pytest.raises(RunError, match="was made by another command: read_as"):
        fit_small(table, out=tmp_path / "run", read_as=elsewhere, resume=True)


@pytest.mark.slow
def test_its_bundle_is_proved_on_the_pictures_of_the_run(
    table: Path, resume_note: dict[str, object], tmp_path: Path, fit_small: Callable[..., pw.Run]
) -> None:
    run = fit_small(table, out=tmp_path / "run", read_as=resume_note)
    proof = pw.export(run).manifest.parity
    assert proof["of"] == "5 of the test split, 5 of the validation split and 26 of the training split of train"
