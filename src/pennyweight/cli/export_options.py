"""Options of `export` that make another network than the trained one, or files of another engine."""

# No `from __future__ import annotations`: Typer reads the annotations.

from typing import Annotated, Literal

from pennyweight.cli.help import OUTPUT
from pennyweight.cli.options import option

__all__ = ["Calibrate", "Int8", "MaxDrop", "Prune", "To", "Tune"]

Int8 = Annotated[
    bool,
    option(OUTPUT, "Quantize to int8: a quarter of the bytes. Layers that lose too much accuracy stay in float."),
]
MaxDrop = Annotated[
    str | None,
    option(
        OUTPUT,
        "Largest drop of validation accuracy: by --int8 (by default 1%), and by --prune (by default any).",
        metavar="PERCENT",
    ),
]
Calibrate = Annotated[
    str | None,
    option(
        OUTPUT,
        "Pictures to calibrate and gate --int8 on; by default training and validation pictures of the run.",
        metavar="SOURCE",
    ),
]
Tune = Annotated[
    bool,
    option(OUTPUT, "With --int8, fine-tune the weights on training pictures (quantization-aware training)."),
]
Prune = Annotated[
    str | None,
    option(
        OUTPUT,
        "Save this share of the multiply-accumulates: remove channels, then fine-tune on training pictures.",
        metavar="PERCENT",
    ),
]
To = Annotated[
    Literal["ncnn"] | None,
    option(
        OUTPUT,
        "Write a folder with the files of another engine, for phones and small boards, and not a bundle.",
        metavar="ENGINE",
    ),
]
