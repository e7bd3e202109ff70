"""Tables in a terminal: legible in a pipe of eighty columns, literal about names, cheap to import."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from pennyweight.core.figures import shape, share
from pennyweight.report.tables import Column, table


def printed(
    title: str | None,
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    totals: Sequence[object] | None = None,
    width: int = 80,
) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(table(title, columns, rows, totals=totals))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_numbers_stand_to_the_right_with_thousands_separated() -> None:
    lines = printed(
        "Cost", [Column("name"), Column("params"), Column("right", share)], [("a", 12, 0.5), ("b", 3504872, 1)]
    )
    assert lines[0] == "Cost"
    first, second = lines[-2:]
    assert first.split() == ["a", "12", "50.0%"]
    assert second.split() == ["b", "3,504,872", "100.0%"]
    assert first.index("12") + 2 == second.index("3,504,872") + 9


def test_in_eighty_columns_long_names_fold_and_every_digit_stays() -> None:
    name = "trunk.stages.3.blocks.11.pointwise.expand.conv_with_a_long_name"
    columns = [Column("layer"), Column("output", shape), Column("params"), Column("MACs"), Column("traffic bytes")]
    lines = printed(None, columns, [(name, (1280, 112, 112), 123_456_789, 9_876_543_210, 1_234_567_890)])
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    for figure in ("1280×112×112", "123,456,789", "9,876,543,210", "1,234,567,890"):
        assert figure in text
    width = max(lines[2].index(" "), 1)
    assert "".join(line[:width].strip() for line in lines[2:]) == name


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("timm:tf_mobilenetv3_large_minimal_100.in1k", ["timm:tf_mobilenetv3_", "large_minimal_100.", "in1k"]),
        ("photos/2024/Brocoli_green_weeds_1.jpg", ["photos/2024/Brocoli_", "green_weeds_1.jpg"]),
        (r"C:\photos\golden retrievers\IMG-00017.JPG", [r"C:\photos\golden", "retrievers\\IMG-00017.", "JPG"]),
        ("      head.classifier.dropout.p", ["      head.", "      classifier.", "      dropout.p"]),
        ("golden retriever (a kind of dog)", ["golden retriever (a", "kind of dog)"]),
        ("Rindfleischetikettierungsgesetz", ["Rindfleischetikettier", "ungsgesetz"]),
        ("国立研究開発法人理化学研究所", ["国立研究開発法人理化", "学研究所"]),
        ("", [""]),
    ],
)
def test_a_long_name_breaks_between_words_and_after_separators(name: str, lines: list[str]) -> None:
    """The figures leave 21 characters; a piece without separators breaks anywhere, and no character is lost."""
    figures = (123_456_789, 9_876_543_210, 1_234_567_890, 12_345)
    columns = [Column("a"), *map(Column, "bcde")]
    found = printed(None, columns, [(name, *figures), ("x" * 21, *figures)], width=72)
    cells = [line.split("123,456,789")[0] for line in found[2:-1]]
    assert [cell.rstrip() for cell in cells] == lines
    assert all(f"{figure:,}" in found[2] for figure in figures)


def test_prose_gives_way_before_a_name_does() -> None:
    prose = "these pictures are saved twice, byte by byte the same, in folders of two classes; one of them is wrong"
    found = printed(None, [Column("file"), Column("meaning")], [("holiday/beach_0001_large.jpg", prose)])
    assert found[2].startswith("holiday/beach_0001_large.jpg  these pictures")
    assert " ".join(line[30:].strip() for line in found[2:]) == prose


def test_a_long_title_and_a_long_heading_break_after_separators() -> None:
    name = "timm:tf_mobilenetv3_large_minimal_100.in1k"
    found = printed(
        f"runs/a-folder/{name}", [Column(name), Column("of the whole network", share)], [("a", 0.5)], width=30
    )
    assert found == [
        "runs/a-folder/timm:tf_",
        "mobilenetv3_large_minimal_100.",
        "in1k",
        "timm:tf_",
        "mobilenetv3_",
        "large_minimal_    of the whole",
        "100.in1k               network",
        "─" * 30,
        "a                        50.0%",
    ]


def test_totals_come_last_and_are_formatted_like_their_column() -> None:
    lines = printed(None, [Column("name"), Column("params")], [("a", 1000), ("b", 2000)], totals=("total", 3000))
    assert lines[-1].split() == ["total", "3,000"]


def test_names_are_taken_literally() -> None:
    text = "\n".join(printed("[bold]x", [Column("[red]")], [("[link=x]cat[/]",), ("a\x1b[2Jb",), (None,)]))
    assert "[bold]x" in text
    assert "[red]" in text
    assert "[link=x]cat[/]" in text
    assert "\x1b" not in text
    assert "–" in text


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_that_the_terminal_cannot_show_stay_apart_and_in_line(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, newline="\n")
    rows = [("猫", 1), ("犬", 22), ("caf\udce9", 3), ("[red]x\x1b[0m", 4)]
    Console(file=stream, width=80).print(table("小", [Column("class"), Column("count")], rows))
    stream.flush()
    lines = raw.getvalue().decode(encoding).splitlines()
    names = [line.replace("|", " ").split()[0] for line in lines[-4:]]
    assert names[:2] == (["猫", "犬"] if encoding == "utf-8" else [r"\u732b", r"\u72ac"])
    assert names[2:] == [r"caf\xe9", r"[red]x\x1b[0m"]
    assert len({cell_len(line.rstrip(" |")) for line in lines[-4:]}) == 1
    assert lines[0].rstrip() == ("小" if encoding == "utf-8" else r"\u5c0f")


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 1 values"):
        table(None, [Column("a"), Column("b")], [("only",)])


def test_an_empty_table_prints_its_headings() -> None:
    assert printed(None, [Column("name"), Column("params")], [])[0].split() == ["name", "params"]


@pytest.mark.parametrize("module", ["tables", "progress"])
def test_what_a_command_prints_with_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, pennyweight.report.{module}; "
        "print(sorted({'torch', 'matplotlib', 'jinja2', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
