"""`compare` gives the figures of the runs, and tests that can be worked by hand."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.cli import main
from pennyweight.core.errors import InputError, SourceError
from pennyweight.report.compare_page import pareto
from pennyweight.report.paper_table import Cell, as_latex, significant
from pennyweight.scoring.comparison import mcnemar, mean_interval


def test_mcnemar_by_hand() -> None:
    """Exact: 2·(C(6,0) + C(6,1)) / 2^6; chi-squared: (|30 - 10| - 1)² / 40 = 9.025, of which 0.00266 is above."""
    assert mcnemar(1, 5) == (pytest.approx(14 / 64), True)
    assert mcnemar(0, 0) == (1.0, True)
    assert mcnemar(30, 10) == (pytest.approx(0.00266, abs=1e-5), False)


def test_the_interval_of_three_seeds_by_hand() -> None:
    """Mean 0.8, deviation 0.02, t of 2 degrees of freedom 4.3027: 0.8 ± 4.3027 · 0.02 / √3."""
    assert mean_interval([0.78, 0.8, 0.82]) == pytest.approx((0.75032, 0.84968), abs=1e-5)


def test_significant_digits() -> None:
    assert [significant(value, 3) for value in (3.5, 9.9996, 0.0123456, 1814.07, 0.0)] == [
        "3.50", "10.0", "0.0123", "1,814", "0.00",
    ]  # fmt: skip


def test_a_run_and_its_bundle_are_two_rows_with_the_runs_figures(trained: pw.Run, bundle: pw.Bundle) -> None:
    found = pw.compare([trained, bundle])
    kept = trained.evaluation
    assert found.images == kept["images"]
    assert found.left_out == {}
    for row in found.networks:
        assert row.accuracy == kept["accuracy"]
        assert list(row.accuracy_interval) == kept["accuracy_interval"]
        assert (row.macs, row.deviation, row.ms) == (pw.weigh(trained).macs, None, None)
    assert len({row.name for row in found.networks}) == 2
    (pair,) = found.differences
    assert (pair.first_alone, pair.second_alone, pair.mcnemar_p) == (0, 0, 1.0)
    assert list(found.to_frame()["accuracy"]) == [kept["accuracy"]] * 2


def test_pictures_that_one_of_the_runs_learned_from_are_left_out_for_all(
    trained: pw.Run, fit_small: Callable[..., pw.Run], draw_colours: Callable[..., Path], shapes: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    shutil.copytree(shapes, more)
    other = fit_small(draw_colours(more, 12, seed=7), out=tmp_path / "other", seed=5)
    found = pw.compare([trained, other])
    assert sum(found.left_out.values()) + found.images == trained.evaluation["images"]
    assert set(found.left_out) <= {str(other.folder)}
    if found.left_out:
        assert "the splits differ" in found.notes[0]


def test_what_cannot_be_compared(trained: pw.Run, bundle: pw.Bundle) -> None:
    with pytest.raises(InputError, match="needs at least 2 runs or bundles, not 1"):
        pw.compare([trained, trained.folder])
    with pytest.raises(InputError, match="unknown split"):
        pw.compare([trained, "mobilenet_v2"], split="tests")  # type: ignore[arg-type]
    with pytest.raises(SourceError):
        pw.compare([trained, bundle], "no-such-folder")


def test_the_front_is_what_no_other_network_beats() -> None:
    rows = [{"name": name, "macs": macs, "accuracy": accuracy} for name, macs, accuracy in
            [("a", 10, 0.8), ("b", 20, 0.7), ("c", 30, 0.9), ("d", 10, 0.6)]]  # fmt: skip
    assert [row["name"] for row in pareto(rows, "macs")] == ["a", "c"]


def test_forms_on_the_command_line(
    trained: pw.Run, bundle: pw.Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*options: str) -> str:
        assert main(["compare", str(trained.folder), str(bundle.path), *options]) == 0
        return capsys.readouterr().out

    page = tmp_path / "page.html"
    accuracy = f"{100 * trained.evaluation['accuracy']:.2f}"
    assert printed("--html", str(page)).count(accuracy) >= 2
    assert page.read_text().count("<svg") == 1
    assert printed("--markdown").count(f"| **{accuracy}** |") == 2
    assert printed("--latex").count(f"\\textbf{{{accuracy}}}") == 2
    rows = list(csv.DictReader(io.StringIO(printed("--csv"))))
    assert [float(row["accuracy"]) for row in rows] == [trained.evaluation["accuracy"]] * 2
    assert main(["compare", str(trained.folder), str(bundle.path), "--csv", "--latex"]) == 1


def test_latex_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("pdflatex is not installed; Debian's texlive-latex-recommended and texlive-latex-extra have it")
    table = as_latex(["a_b", "±, %"], [[Cell(r"x\{}~^<>&%$#_"), Cell("≥ 1 × 2", True)]], ["50% of $x$"])
    text = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n" + table + "\\end{document}\n"
    (tmp_path / "table.tex").write_text(text)
    done = subprocess.run([compiler, "-halt-on-error", "table.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-800:]


def some_of_cifar(folder: Path, **counts: int) -> Path:
    """Write the first pictures of each split of CIFAR-10 to folder/SPLIT/CLASS."""
    parquet = pytest.importorskip("pyarrow.parquet")
    root = Path(os.environ.get("PENNYWEIGHT_DATA", "nowhere")) / "cifar10-jpeg"
    if not root.is_dir():
        pytest.skip("cifar10-jpeg is not in $PENNYWEIGHT_DATA")
    for split, count in counts.items():
        table = parquet.ParquetFile(next(iter(sorted(root.glob(f"{split}-*.parquet"))))).read().slice(0, count)
        picture, label = (next(name for name in table.column_names if name in words) for words in (
            ("img", "image"), ("label", "labels")))  # fmt: skip
        for number, row in enumerate(table.to_pylist()):
            place = folder / split / f"class-{row[label]}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.jpg").write_bytes(row[picture]["bytes"])
    return folder


@pytest.mark.slow
def test_three_networks_with_three_seeds_on_cifar_10(tmp_path: Path) -> None:
    """One command prints the paper's table, and its figures are those of the nine runs."""
    source = some_of_cifar(tmp_path / "cifar", train=1500, test=500)
    folders = []
    for name in ("mobilenet_v1_x0_25", "shufflenet_v2_x0_5", "mobilenet_v2_x0_35"):
        folders.append(tmp_path / name)
        settings: dict[str, Any] = {"recipe": {"epochs": 2}, "weights": "none", "progress": False}
        pw.fit_seeds(source, name, seeds=3, out=folders[-1], input_size=32, stem="cifar", augment="keep", **settings)
    found = pw.compare(folders)
    print(found.to_markdown())
    assert [len(row.runs) for row in found.networks] == [3, 3, 3]
    for row in found.networks:
        kept = [pw.Run(Path(run)).evaluation["accuracy"] for run in row.runs]
        assert list(row.accuracies) == kept
        assert (row.accuracy, row.deviation) == (pytest.approx(fmean(kept)), pytest.approx(stdev(kept)))
    assert len(found.differences) == 3
    assert found.to_latex().count(r" $\pm$ ") >= 3
