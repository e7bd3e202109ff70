"""Downloads are shown as they come, and nothing is where nothing comes."""

from __future__ import annotations

import io

from rich.console import Console

from pennyweight.report.downloads import Downloads


def shown(*, terminal: bool, total: int | None = 5_000_000) -> str:
    file = io.StringIO()
    with Downloads(Console(file=file, force_terminal=terminal, force_interactive=terminal, width=100)) as downloads:
        for done in (1_000_000, 3_000_000, 5_000_000):
            downloads.advance("set.tar.gz", done, total)
    return file.getvalue()


def test_a_log_gets_one_line_a_file() -> None:
    assert shown(terminal=False) == "downloading set.tar.gz, 5.0 MB\n"
    assert shown(terminal=False, total=None) == "downloading set.tar.gz\n"


def test_a_terminal_gets_a_bar() -> None:
    assert "5.0/5.0 MB" in shown(terminal=True)


def test_nothing_is_shown_without_a_download() -> None:
    file = io.StringIO()
    with Downloads(Console(file=file, force_terminal=True)):
        pass
    assert file.getvalue() == ""
