"""`weigh`, `bench --machine` and `lab guidelines` on the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.cost import MachineProfile, count
from pennyweight.cost.timing.machine_profile import make_profile
from pennyweight.cost.timing.roofline import Limits

Run = Callable[..., Any]
SMALL = ("mobilenet_v1_x0_25", "--input", "3x32x32")


@pytest.fixture
def measured() -> MachineProfile:
    """A profile that knows limits alone: 10 G MACs/s, 1 GB/s from memory, a microsecond for each call."""
    limits = Limits(
        macs_per_s={"float32": 1e10}, bytes_per_s={"L1": 1e11, "memory": 1e9}, level_bytes={"L1": 1000}, overhead_s=1e-6
    )
    return make_profile(limits, {})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No profile but what a test keeps."""
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def found(outcome: Any, err: str = "") -> dict[str, Any]:
    assert (outcome.status, outcome.err) == (0, err)
    assert outcome.out.count("\n") == 1
    value = json.loads(outcome.out)
    assert isinstance(value, dict)
    return value


def test_layers_and_totals(pennyweight: Run) -> None:
    outcome = pennyweight("weigh", "mobilenet_v1_x0_25")
    assert (outcome.status, outcome.err) == (0, "")
    for words in (
        "470,072",
        "41,030,272",
        "biases are not counted",
        "weights: 1.88 MB, and 0.0221 MB of buffers",
        "uncounted operators: none",
        "a multiply-accumulate",
    ):
        assert words in outcome.out
    assert "predicted" not in outcome.out  # nothing is predicted for a machine that was not measured
    assert re.search(
        r"prediction: none, because this machine has no profile of \d+ threads?; make one with: ", outcome.out
    )


def test_layers_stand_in_a_tree_with_subtotals(pennyweight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    outcome = pennyweight("weigh", "torchvision:resnet18", "--input", "3x64x64")
    assert (outcome.status, outcome.err) == (0, "")
    cells = [(len(line) - len(line.lstrip()), line.split()) for line in outcome.out.splitlines() if line.strip()]
    stage = next(row for row in cells if row[1][0] == "layer2")
    block = next(row for row in cells[cells.index(stage) :] if row[1][:2] == ["0", "BasicBlock"])
    first = next(row for row in cells[cells.index(block) :] if row[1][0] == "conv1")
    assert stage[0] < block[0] < first[0]
    assert "525,568" in stage[1]  # parameters of its two blocks
    assert {"230,144", "73,728"} <= {*block[1], *first[1]}
    assert "0.2949" in first[1]  # MB of its weights


@pytest.mark.parametrize(
    ("letters", "shown"), [(80, []), (100, ["in"]), (120, ["type", "in", "weights", "activations"])]
)
def test_a_wider_terminal_shows_more(
    pennyweight: Run, monkeypatch: pytest.MonkeyPatch, letters: int, shown: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(letters))
    lines = pennyweight("weigh", "mobilenet_v2").out.splitlines()
    assert [word for word in lines[1].split() if word in ("type", "in", "weights", "activations")] == shown
    table = lines[: next(number for number, line in enumerate(lines) if line.startswith("parameters"))]
    assert max(map(len, table)) <= letters
    assert all("…" not in line for line in table)


def test_frozen_parameters_have_a_column(pennyweight: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def half():\n    made = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))\n"
        "    made[0].requires_grad_(False)\n    return made\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    lines = pennyweight("weigh", "mine:half", "--input", "3").out.splitlines()
    place = lines[1].split().index("frozen")
    assert [line.split()[place] for line in lines[3:5]] == ["16", "0"]


def test_json_with_what_makes_the_network(pennyweight: Run) -> None:
    options = ("--input", "1x32x32", "--stem", "cifar", "--config", "width=0.5", "--config", "dropout=0.3", "--json")
    values = found(pennyweight("weigh", "mobilenet_v2", *options))
    network = pw.create("mobilenet_v2", in_channels=1, stem="cifar", width=0.5).eval()
    expected = json.loads(json.dumps(pw.weigh(network, (1, 32, 32)).to_dict()))
    assert {key: values[key] for key in expected} == expected
    assert (values["name"], values["times"], values["predicted_ms"], values["timing"]) == (
        "mobilenet_v2",
        [],
        None,
        None,
    )


@pytest.mark.parametrize("by", ["layer", "stage", "total"])
def test_rows_sum_to_the_totals(pennyweight: Run, by: str) -> None:
    outcome = pennyweight("weigh", *SMALL, "--batch", "2", "--by", by, "--csv")
    assert (outcome.status, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    cost = count(pw.create("mobilenet_v1_x0_25").eval(), (3, 32, 32), batch=2)
    for column in ("params", "macs", "ops", "bytes_read", "bytes_written", "weight_bytes"):
        assert sum(int(row[column]) for row in rows) == getattr(cost, column)
    assert {"layer": len(rows) > 50, "stage": 5 < len(rows) < 40, "total": len(rows) == 1}[by]
    assert rows[0]["input_shape"] == "3x32x32"


def test_the_largest_first(pennyweight: Run) -> None:
    outcome = pennyweight("weigh", *SMALL, "--sort", "macs", "--csv")
    macs = [int(row["macs"]) for row in csv.DictReader(io.StringIO(outcome.out))]
    assert macs == sorted(macs, reverse=True)
    assert "did you mean 'macs'" in pennyweight("weigh", *SMALL, "--sort", "mcs").error


def test_json_has_the_rows_that_were_asked_for(pennyweight: Run) -> None:
    values = found(pennyweight("weigh", *SMALL, "--by", "stage", "--sort", "ops", "--json"))
    ops = [row["ops"] for row in values["rows"]]
    assert 5 < len(ops) < len(values["layers"])
    assert ops == sorted(ops, reverse=True)
    assert sum(ops) == values["ops"]
    assert "rows" not in found(pennyweight("weigh", *SMALL, "--json"))


def test_what_the_columns_mean_and_what_was_not_counted_stand_in_json_and_csv(
    pennyweight: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Odd(nn.Module):\n    def forward(self, x):\n"
        "        return torch.linalg.qr(x + 1 if bool(x.sum() > 0) else x)[1]\n"
        "def make():\n    return nn.Sequential(nn.Linear(3, 3), Odd(), nn.ReLU())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    values = found(pennyweight("weigh", "odd:make", "--input", "3x3", "--json"))
    assert "multiply-accumulates" in values["conventions"]["macs"]
    assert "all arithmetic" in values["conventions"]["ops"]
    (operator, times), (note, *_) = *values["uncounted"].items(), values["notes"]
    rows = list(csv.DictReader(io.StringIO(pennyweight("weigh", "odd:make", "--input", "3x3", "--csv").out)))
    assert len(rows) > 1
    for row in rows:
        assert row["uncounted"] == f"{operator} {times}"
        assert note in row["notes"]
        assert "macs: multiply-accumulates" in row["conventions"]
        assert "ops: all arithmetic" in row["conventions"]


@pytest.fixture
def half_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, ...]:
    """Two networks to compare on 3x16x16: the heavier one is counted whole, of the lighter one a sorting is not."""
    (tmp_path / "halves.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Sorts(nn.Module):\n    def forward(self, x):\n        return torch.sort(x).values\n"
        "def whole():\n    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())\n"
        "def light():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), Sorts())\n"
        "def heavy():\n    return nn.Sequential(nn.Conv2d(3, 99, 3), Sorts())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "halves:whole", "--input", "3x16x16"


def test_what_was_not_counted_wins_no_comparison(
    pennyweight: Run, half_counted: tuple[str, ...], measured: MachineProfile, tmp_path: Path
) -> None:
    """A smaller figure that is not the whole one says nothing; a larger one has lost all the same."""
    measured.save()
    page = tmp_path / "page.html"
    light = pennyweight("weigh", "halves:light", *half_counted, "--html", page)
    assert (light.status, light.err) == (0, f"wrote {page}\n")
    text = page.read_text()
    assert re.search(r"halves:light +≥ 112 +≥ 21,168 ", light.out)
    assert re.search(r"halves:whole +224 +42,336 ", light.out)
    assert not re.search(r"≥ [\d,.]+ ←", light.out + text)
    assert re.search(
        r"<th scope=\"row\">halves:light</th><td class=\"n\">≥ 112</td><td class=\"n\">≥ 21,168</td>", text
    )
    assert "Multiply-accumulates and milliseconds" not in text  # of one network alone

    heavy = pennyweight("weigh", "halves:heavy", *half_counted).out
    assert re.search(r"halves:whole +224 ← +42,336 ←", heavy)
    assert not re.search(r"≥ [\d,.]+ ←", heavy)


def test_a_total_that_is_not_whole_says_so(pennyweight: Run, half_counted: tuple[str, ...]) -> None:
    _, *how = half_counted
    outcome = pennyweight("weigh", "halves:light", *how).out
    assert "MACs: ≥ 21,168" in outcome
    assert re.search(r"^1 .* ≥ 0 ", outcome, re.MULTILINE)
    assert re.search(r"^total .* ≥ 21,168 ", outcome, re.MULTILINE)
    values = found(pennyweight("weigh", "halves:light", *how, "--json"))
    assert [layer["uncounted_calls"] for layer in values["layers"]] == [0, 1]
    rows = list(csv.DictReader(io.StringIO(pennyweight("weigh", "halves:light", *how, "--csv").out)))
    assert [row["uncounted_calls"] for row in rows] == ["0", "1"]
    assert "≥" not in pennyweight("weigh", "halves:whole", *how).out


def test_what_was_measured_may_win(
    pennyweight: Run, half_counted: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    out = pennyweight("weigh", "halves:light", *half_counted, "--measure", "--repeats", "2").out
    _, heads, _, *rows = out.splitlines()[:5]
    assert "measured ms" in heads
    assert sum(bool(re.search(r"[\d.]+ ← +[\d.,]+–[\d.,]+", row)) for row in rows) == 1
    assert not re.search(r"≥ [\d,.]+ ←", out)


def test_csv_keeps_memory_and_what_was_measured(pennyweight: Run) -> None:
    outcome = pennyweight("weigh", *SMALL, "--measure", "--repeats", "3", "--training", "--by", "stage", "--csv")
    first, *rows = csv.DictReader(io.StringIO(outcome.out))
    cost = pw.weigh("mobilenet_v1_x0_25", (3, 32, 32), training_step=True)
    assert int(first["network_peak_training_bytes"]) == cost.peak_training_bytes
    assert int(first["network_peak_activation_bytes"]) == cost.peak_activation_bytes
    low, middle, high = (float(first[f"network_measured_{part}ms"]) for part in ("low_", "", "high_"))
    assert 0 < low <= middle <= high
    assert first["network_repeats"] == "3"
    assert all(row["network_measured_ms"] == first["network_measured_ms"] for row in rows)


def test_training_and_guidelines(pennyweight: Run) -> None:
    outcome = pennyweight("weigh", *SMALL, "--training", "--lint")
    assert "peak of a training step" in outcome.out
    assert "guidelines of ShuffleNetV2" in outcome.out
    assert "G4" in outcome.out


def test_predicted_measured_and_a_page(pennyweight: Run, measured: MachineProfile, tmp_path: Path) -> None:
    measured.save()
    page = tmp_path / "cost.html"
    values = found(
        pennyweight("weigh", *SMALL, "--measure", "--repeats", "2", "--json", "--html", page), err=f"wrote {page}\n"
    )
    rows = sum(row["predicted_ms"] for row in values["times"])
    assert values["predicted_ms"] == pytest.approx(rows)
    assert values["measured_ms"] == values["timing"]["median_ms"] > 0
    assert {row["bound"] for row in values["times"]} <= {"compute", "overhead", "memory", "L1", "L2", "L3"}
    text = page.read_text().replace("<wbr>", "")
    assert text.count("<svg") == 3  # roofline, traffic, time
    assert "<script" not in text
    assert "<td>3×32×32, batch 1</td>" in text
    assert f"<td>{values['macs']:,}</td>" in text
    assert re.search(r"profile of (1 thread|\d+ threads), measured 20\d\d-", text)
    assert all(layer["name"] in text for layer in values["layers"])
    assert "predicted ms" in pennyweight("weigh", *SMALL).out


def test_networks_side_by_side(pennyweight: Run, tmp_path: Path) -> None:
    page = tmp_path / "both.html"
    names = ("mobilenet_v1_x0_25", "mobilenet_v1_x0_5")
    outcome = pennyweight("weigh", *names, "--input", "3x32x32", "--measure", "--repeats", "2", "--html", page)
    assert (outcome.status, outcome.err) == (0, f"wrote {page}\n")
    assert "470,072 ←" in outcome.out
    assert "measured" in outcome.out
    text = page.read_text()
    assert ">Comparison<" in text
    assert re.search(r"quartiles, ms</th>.*470,072 ←", text, re.DOTALL)
    assert re.search(r"Measured: in turns, 2 times after 3 to warm up, (1 thread|\d+ threads), batch 1", text)
    values = found(pennyweight("weigh", *names, "--input", "3x32x32", "--json"))
    assert [network["name"] for network in values["networks"]] == list(names)


def test_a_run_and_its_bundle(pennyweight: Run, run_folder: Path, bundle_file: Path) -> None:
    of_run, of_bundle = (found(pennyweight("weigh", path, "--json")) for path in (run_folder, bundle_file))
    assert of_run["macs"] == of_bundle["macs"] > 0
    assert of_run["input_shape"] == [3, 16, 16]
    assert "depthwise kernels have died" in of_run["notes"][0]
    assert f"macs {of_run['macs']:,}" in of_bundle["notes"][0]


@pytest.mark.slow
def test_lab_guidelines(pennyweight: Run, tmp_path: Path) -> None:
    page = tmp_path / "guidelines.html"
    how = ("lab", "guidelines", "--repeats", "2", "--side", "4", "--batch", "2")
    outcome = pennyweight(*how, "--html", page)
    assert (outcome.status, outcome.err) == (0, f"wrote {page}\n")
    assert all(words in outcome.out for words in ("Table 1", "Table 4", "1:12", "g=8", "4 in parallel", "neither"))
    text = page.read_text()
    assert text.count("<svg") == 4
    assert outcome.out.count("quartiles, ms") == text.count("quartiles, ms") == 4
    (threads,) = re.findall(
        r"^measured 2 times in turns after 2 to warm up, medians; 4×4 places, batch 2, (1 thread|\d+ threads), ",
        outcome.out,
        flags=re.MULTILINE,
    )
    assert f"4×4 places, batch 2, {threads}, eager" in text
    for shown in (outcome.out, text):
        assert re.search(r"(?i)processor .+, cores \d+, .*torch 2", shown)
    values = found(pennyweight(*how, "--json"))
    assert len(values["rows"]) == 17
    kept = {"repeats": 2, "side": 4, "batch": 2, "warm_up": 2, "threads": int(threads.split()[0])}
    assert {name: values[name] for name in kept} == kept
    assert values["machine"]["processor"]
    assert values["versions"]["torch"]


def test_what_cannot_go_together(pennyweight: Run) -> None:
    assert "--json and --csv" in pennyweight("weigh", *SMALL, "--json", "--csv").error
    assert "add --measure" in pennyweight("weigh", *SMALL, "--repeats", "5").error
    assert "take --json instead" in pennyweight("weigh", *SMALL, "--lint", "--csv").error


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("3,32,32", "--input-shape '3,32,32' is not CxHxW, such as 3x224x224; did you mean '3x32x32'?"),
        ("224,224,3", "did you mean '3x224x224'?"),
        ("96", "did you mean '3x96x96'?"),
        ("224x224x3", "channels first; did you mean 3x224x224 in place of 224x224x3?"),
        ("0x8x8", "--input-shape '0x8x8' is not CxHxW, such as 3x224x224"),
    ],
)
def test_what_was_meant_by_a_shape_is_said(pennyweight: Run, given: str, words: str) -> None:
    assert pennyweight("weigh", "mobilenet_v2", "--input", given).error.rstrip().endswith(words)


def test_a_comparison_shows_the_inputs_where_they_differ(pennyweight: Callable[..., Any]) -> None:
    same = pennyweight("weigh", "mobilenet_v1_x0_25", "mobilenet_v2_x0_35", "--input", "3x64x64").out
    assert "input" not in same
    out = pennyweight("weigh", "mobilenet_v1_x0_25", "hybrid_sn").out
    assert re.search(r"^mobilenet_v1_x0_25 +3×224×224 ", out, re.MULTILINE)
    assert re.search(r"^hybrid_sn +\d+×25×25 ", out, re.MULTILINE)


@pytest.mark.slow
def test_a_comparison_leaves_out_nothing_that_was_asked_for(pennyweight: Run) -> None:
    names = ("mobilenet_v1_x0_25", "mobilenet_v2_x0_35")
    asked = ("--by", "stage", "--sort", "macs", "--lint", "--training", "--measure", "--repeats", "4", "--batch", "2")
    outcome = pennyweight("weigh", *names, "--input", "3x32x32", *asked)
    assert (outcome.status, outcome.err) == (0, "")
    comparison, *parts = re.split(rf"^({'|'.join(names)}), ", outcome.out, flags=re.MULTILINE)
    assert all(words in " ".join(comparison.split()) for words in ("MACs of a", "peak MB of", "quartiles, ms"))
    assert re.search(r"[\d.]+–[\d.]+", comparison)
    assert re.search(r"in turns, 4 times after 3 to warm up, \d+ threads?, batch 2", comparison)
    assert parts[::2] == [names[1], names[1], names[0], names[0]]  # the most MACs first
    for rows, guidelines in ((parts[1], parts[3]), (parts[5], parts[7])):
        macs = [
            int(line.split()[3].replace(",", "")) for line in rows.splitlines() if line.startswith(("trunk.", "stem."))
        ]
        assert macs == sorted(macs, reverse=True)
        assert len(macs) > 5
        assert guidelines.startswith("guidelines of ShuffleNetV2")


def test_networks_are_rows_and_the_largest_comes_first(pennyweight: Run) -> None:
    """A network that cannot be weighed has a line, and the exit status says it; the others make the table."""
    outcome = pennyweight("weigh", "mobilenet_v1_x0_[27]5", "nonsense", "mobilenet_v1", "--sort", "params")
    assert outcome.error.startswith("error: unknown network 'nonsense'")
    rows = [line.split()[:2] for line in outcome.out.splitlines() if line.startswith("mobilenet")][:3]
    names = ["mobilenet_v1", "mobilenet_v1_x0_75", "mobilenet_v1_x0_25"]
    assert rows == [[name, f"{pw.weigh(name).params:,}"] for name in names]
    assert "no network matches 'mobilnet*'" in pennyweight("weigh", "mobilnet*").error


def test_the_table_for_a_paper(pennyweight: Run) -> None:
    """Published accuracy stands beside the cost where input and Config are the published ones, and nowhere else."""
    names = ("mobilenet_v1_x0_25", "mobilenet_v1_x0_5")
    latex = pennyweight("weigh", *names, "--latex", "--digits", "3")
    assert (latex.status, latex.err) == (0, "")
    assert r"mobilenet\_v1\_x0\_25 & \textbf{0.470} & \textbf{41.0} & " in latex.out
    assert re.search(r"params, M & MACs, M & .* & top-1, \\% \\\\$", latex.out, re.MULTILINE)
    assert latex.out.count(r"\toprule") == latex.out.count(r"\end{tabular}") == 1
    markdown = pennyweight("weigh", *names, "--markdown", "--unit", "1", "--input", "3x32x32").out
    assert markdown.splitlines()[2].startswith(r"| mobilenet\_v1\_x0\_25 | **470,072** | ")
    assert "top-1" not in markdown
    values = found(pennyweight("weigh", *names, "--json"))["networks"]
    assert [(value["published_top1"], value["guessed_share"]) for value in values] == [(49.8, None), (63.3, None)]
    assert "keep one" in pennyweight("weigh", *names, "--latex", "--csv").error
    assert "leave --by, --depth and --lint out" in pennyweight("weigh", *names, "--latex", "--depth", "1").error


def test_rows_down_to_a_depth_add_up(pennyweight: Run) -> None:
    rows = found(pennyweight("weigh", *SMALL, "--depth", "1", "--json"))["rows"]
    assert [row["name"] for row in rows] == ["stem", "trunk", "head"]
    assert sum(row["macs"] for row in rows) == pw.weigh("mobilenet_v1_x0_25", (3, 32, 32)).macs


def test_a_comparison_by_total_is_one_table(pennyweight: Run) -> None:
    names = ("mobilenet_v1_x0_25", "mobilenet_v2_x0_35", "--input", "3x32x32")
    plain, total = (pennyweight("weigh", *names, *by).out for by in ((), ("--by", "total")))
    assert plain == total
    assert "trunk" not in plain


def test_every_time_says_on_what_it_was_measured(
    pennyweight: Run, bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    alone = pennyweight("weigh", bundle_file, "--measure", "--repeats", "2").out
    assert re.search(r"measured: .* ms \(quartiles .*\) on onnxruntime [0-9.]+, 2 times after", alone)
    both = pennyweight("weigh", bundle_file, "mobilenet_v1_x0_25", "--measure", "--repeats", "2").out
    assert re.search(rf"{re.escape(bundle_file.name)} .* onnxruntime [0-9.]+ *$", both, re.MULTILINE)
    assert re.search(r"^mobilenet_v1_x0_25 .* torch [0-9.]+, eager *$", both, re.MULTILINE)
    csv = pennyweight("weigh", bundle_file, "--measure", "--repeats", "2", "--csv").out
    assert ",onnxruntime " in csv.splitlines()[1]
