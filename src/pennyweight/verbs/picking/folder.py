"""Folder of a search on pictures: its record, the journal of its trials, its page, and the chosen run."""

from __future__ import annotations

from pathlib import Path

from pennyweight.core.errors import RunError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.reading import reason_of

__all__ = ["FOLDER_FILE", "JOURNAL", "REPORT", "claim_folder"]

FOLDER_FILE, JOURNAL, REPORT = "pick.json", "trials.journal", "report.html"


def claim_folder(folder: Path, key: str) -> None:
    """Make the folder of a search. Raises RunError for a folder of something else, or one that cannot be made."""
    record = folder / FOLDER_FILE
    try:
        if record.exists():
            if read_json(record).get("key") != key:
                raise RunError(f"{folder} has another search, with other settings; name another folder with --out")
            return
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} exists, and is no folder of a search; name another with --out")
        folder.mkdir(parents=True, exist_ok=True)
        write_json(record, {"key": key})
    except OSError as error:
        raise RunError(f"cannot make {folder}: {reason_of(error)}") from error
