"""Rows of a result as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pennyweight.core.errors import MissingPart

__all__ = ["data_frame"]


def data_frame(rows: Iterable[Any], **attrs: Any) -> Any:
    """Return dataclass instances as a pandas DataFrame, with `attrs` as its attributes.

    Raises:
        MissingPart: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingPart(
            "a DataFrame needs pandas, which is not installed; add it with: pip install pandas"
        ) from error
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame.attrs.update(attrs)
    return frame
