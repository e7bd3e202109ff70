"""Options of `predict` for its output."""

from pathlib import Path
from typing import Annotated

from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option

__all__ = ["Csv", "Embeddings", "Format", "Jsonl", "LeastTypical", "PartSize", "Parts", "Strangers", "Top", "Workers"]

Top = Annotated[int, option(OUTPUT, "Labels to name for each picture.", metavar="N", min=1)]
Csv = Annotated[
    str | None,
    option(
        OUTPUT,
        "Table to write, a row for each picture, complete at the end; - prints the rows as they come.",
        metavar="FILE",
    ),
]
Jsonl = Annotated[bool, option(OUTPUT, "Print a line of JSON for each picture as soon as it is answered.", "--jsonl")]
Embeddings = Annotated[
    Path | None,
    option(
        OUTPUT,
        "File to write, .parquet or .npy, with the features before the last layer, for search and clustering.",
        metavar="FILE",
    ),
]
Parts = Annotated[
    Path | None,
    option(
        OUTPUT,
        "Folder to write, a file for each part of the pictures. Several processes share the work. After a kill, the "
        "same command makes the missing parts.",
        metavar="FOLDER",
    ),
]
Format = Annotated[str | None, option(OUTPUT, "Format of the parts: jsonl (the default) or parquet.")]
PartSize = Annotated[int | None, option(OUTPUT, "Pictures in a part; by default 1,000.", metavar="N", min=1)]
Workers = Annotated[
    int | None,
    option(
        OUTPUT,
        "Processes that share the parts, each with one core; by default one process uses all cores.",
        metavar="N",
        min=1,
    ),
]
Strangers = Annotated[
    str,
    option(
        OUTPUT,
        "Pictures that are unlike anything the network was taught (out of distribution): flag marks and counts them, "
        "refuse gives no answer, ignore does not look.",
        metavar="RULE",
    ),
]
LeastTypical = Annotated[
    str | None,
    option(
        OUTPUT,
        "Share of own pictures that may be flagged; by default 1%, or what fewer than 99 held-out pictures can tell.",
        metavar="SHARE",
    ),
]
