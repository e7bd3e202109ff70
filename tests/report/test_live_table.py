"""A table is redrawn on a terminal and in a notebook, and nowhere else."""

import io
from typing import Any

import pytest
from rich.console import Console

from pennyweight.report.live_table import LiveTable, Picture

PICTURE = Picture("12 s left · trials: 1 of 2", ("network", "held-out"), [("[red]a[/red]\x1b", "12.2%")])


def test_a_terminal_shows_the_table_takes_it_away_for_a_line_and_leaves_nothing() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with LiveTable(lambda: PICTURE, console) as shown:
        assert shown.is_live
        with shown.away():
            before = console.file.getvalue()  # type: ignore[attr-defined]
            print("note: a line", file=console.file)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "12 s left · trials: 1 of 2" in before
    assert "[red]a[/red]\\x1b" in before
    assert before.endswith("\x1b[1A\x1b[2K")
    assert text.index("note: a line") < text.rindex("held-out")
    assert text.endswith("\x1b[1A\x1b[2K")


def test_a_log_shows_nothing() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with LiveTable(lambda: PICTURE, console) as shown, shown.away():
        shown.update()
        assert not shown.is_live
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_a_notebook_redraws_one_output_with_escaped_names(monkeypatch: pytest.MonkeyPatch) -> None:
    contents: list[Any] = []

    class Handle:
        def update(self, content: Any, raw: bool) -> None:
            contents.append(content)

    def show(content: Any, raw: bool, display_id: bool) -> Handle:
        contents.append(content)
        return Handle()

    console = Console(file=io.StringIO(), force_jupyter=True)
    picture = PICTURE._replace(rows=[("<b>", "1%")])
    with LiveTable(lambda: picture, console, show=show) as shown:
        shown.update(at_once=True)
        shown.update()
    assert len(contents) == 2
    assert "&lt;b&gt;" in contents[-1]["text/html"]
    assert contents[-1]["text/plain"] == PICTURE.headline
