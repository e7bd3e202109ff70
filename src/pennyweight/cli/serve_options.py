"""Options of `serve`."""

from pathlib import Path
from typing import Annotated, Literal

from pennyweight.cli.help import DATA, EXECUTION, OUTPUT, SERVER
from pennyweight.cli.options import option

__all__ = ["Host", "Log", "MaxBytes", "MaxPictures", "Port", "Queue", "Timeout", "TokenFile", "Workers"]

MaxBytes = Annotated[str, option(DATA, "Read bodies of up to SIZE, such as 32MB.", metavar="SIZE")]
MaxPictures = Annotated[int, option(DATA, "Answer up to N pictures in one request.", metavar="N", min=1)]
Host = Annotated[str, option(SERVER, "Address to listen on; 0.0.0.0 lets other machines in.", metavar="ADDRESS")]
Port = Annotated[int, option(SERVER, "Port to listen on; 0 takes a free one.", metavar="N", min=0)]
TokenFile = Annotated[
    Path | None,
    option(
        SERVER,
        "File that holds a bearer token; requests without it are answered with 401. The page asks for it.",
        metavar="FILE",
    ),
]
Workers = Annotated[
    int | None,
    option(EXECUTION, "Threads that decode and compute; by default one for each core.", metavar="N", min=1),
]
Queue = Annotated[
    int | None,
    option(
        EXECUTION,
        "Pictures that may wait for a worker; a request beyond them is answered with 503 at once. By default as "
        "many as are worked off in 0.2 s.",
        metavar="N",
        min=1,
    ),
]
Timeout = Annotated[
    float,
    option(EXECUTION, "Seconds until a body must have arrived, and until its answer must be ready.", metavar="S"),
]
Log = Annotated[
    Literal["text", "json", "off"],
    option(OUTPUT, "Form of the line for each request on standard error: text, json or off.", metavar="FORM"),
]
