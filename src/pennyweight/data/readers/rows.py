"""Rows of tables: CSV and TSV with any usual delimiter, JSON lines, or Parquet."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pennyweight.core.encodings import not_utf8
from pennyweight.core.errors import SourceError
from pennyweight.data.readers import parquet

__all__ = ["numbered_rows", "rows_of"]

DELIMITERS = ",;\t|"


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as column -> value. Raises SourceError for a file that is not a table."""
    return (row for _, row in numbered_rows(path))


def numbered_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the line, from 1, and the row as column -> value; of a Parquet file the number of the row.

    Raises SourceError for a file that is not a table.
    """
    if path.suffix.lower() == ".parquet":
        yield from enumerate(parquet.rows(path), 1)
        return
    try:
        yield from (_json_rows if path.suffix.lower() == ".jsonl" else _rows)(path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"cannot read {path} as a table: {not_utf8(path)}") from error
    except csv.Error as error:
        raise SourceError(f"cannot read {path} as a table: {error}") from error


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the numbered rows of a CSV or TSV file; the delimiter is the most frequent candidate in the header line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        heading = file.readline()
        if "\0" in heading:
            raise SourceError(f"cannot read {path} as a table: {not_utf8(path)}")
        if declared := re.fullmatch(r'"?sep=(.)"?\s*', heading, re.IGNORECASE):  # Excel writes it as the first line
            delimiter, before = declared[1], 1
        else:
            delimiter, before = max(DELIMITERS, key=re.sub(r'"[^"]*"', "", heading).count), 0
            file.seek(0)
        rows = csv.DictReader(file, delimiter=delimiter)
        for row in rows:
            if any(row.pop(None, ())):  # csv's key for cells beyond the header
                raise SourceError(
                    f"line {rows.line_num + before} of {path} has more cells than the heading; put quotes around a "
                    f"path or a label that holds '{delimiter}'"
                )
            yield rows.line_num + before, row


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the numbered rows of a file with a JSON object on each line."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SourceError(f"line {number} of {path} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise SourceError(f"line {number} of {path} is no JSON object, which names the columns of a row")
            yield number, row
