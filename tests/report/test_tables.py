"""Tables in a terminal: legible in a pipe of eighty columns, literal about names, cheap to import."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console

from pennyweight.core.figures import shape, share
from pennyweight.report.tables import Column, table


def printed(
    title: str | None,
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    totals: Sequence[object] | None = None,
) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=80).print(table(title, columns, rows, totals=totals))
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
