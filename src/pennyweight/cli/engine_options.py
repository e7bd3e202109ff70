"""Options of commands that execute a network: engine, threads and precision."""

from typing import TYPE_CHECKING, Annotated, Any

from pennyweight.cli.help import EXECUTION
from pennyweight.cli.options import option

if TYPE_CHECKING:
    from pennyweight.verbs.execution import Execution
    from pennyweight.verbs.load import Trained

__all__ = ["Engine", "Precision", "Threads", "settings_for"]

Engine = Annotated[
    str | None,
    option(
        EXECUTION,
        "Engine of a bundle: onnxruntime (the default), openvino, or fastest, measured once on this machine. Of a run "
        "or a name: torch (the default) or torch-compiled.",
        metavar="ENGINE",
    ),
]
Threads = Annotated[
    int | None, option(EXECUTION, "Threads of one call; by default one for each core.", metavar="N", min=1)
]
Precision = Annotated[
    str | None,
    option(EXECUTION, "Arithmetic: float32 (the default), or bfloat16 with openvino.", metavar="PRECISION"),
]


def settings_for(trained: "Trained", execution: "Execution") -> dict[str, Any]:
    """Return the settings as a verb takes them; none for a bundle, which is open with its engine."""
    from pennyweight.runtime import Bundle

    if isinstance(trained, Bundle):
        return {}
    return {"engine": execution.engine, "threads": execution.threads, "precision": execution.precision}
