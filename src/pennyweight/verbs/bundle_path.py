"""Choose the file of a bundle, before anything is computed for it."""

from __future__ import annotations

import os
from pathlib import Path

from pennyweight.core.errors import BundleError
from pennyweight.core.run import Run

__all__ = ["bundle_path"]


def bundle_path(run_or_name: Run | str, out: str | os.PathLike[str] | None, *, form: str = "") -> Path:
    """Return the file that an export writes: `out`, else the run's model.onnx, else NAME.onnx in the working folder.

    By default a file in another `form`, such as "-int8", has it before its ending, so that it replaces no other bundle.

    Raises BundleError where a file is there already (a run's own bundle is replaced), or where its folder is not.
    """
    if out is not None:
        path = Path(out)
    else:
        path = (
            run_or_name.bundle_path if isinstance(run_or_name, Run) else Path(f"{run_or_name.replace(':', '-')}.onnx")
        )
        path = path.with_name(f"{path.name.removesuffix('.onnx')}{form}.onnx")
    replaced = out is None and isinstance(run_or_name, Run)
    if path.exists() and not replaced:
        raise BundleError(f"{path} exists already; nothing is overwritten: name a new file with --out")
    if not path.absolute().parent.is_dir():
        raise BundleError(f"cannot write {path}: there is no folder {path.absolute().parent}")
    return path
