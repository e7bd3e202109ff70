"""Name a missing part of the installation, and the command that adds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pennyweight.core.errors import MissingPart

__all__ = ["install_command", "missing_part", "naming_missing_parts"]

NAME = "pennyweight"

EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "accelerate": "train",
    "jinja2": "train",
    "matplotlib": "train",
    "onnx": "train",
    "onnxscript": "train",
    "pyarrow": "train",
    "safetensors": "train",
    "scipy": "train",
    "sklearn": "train",
    "optuna": "pick",
    "timm": "timm",
    "starlette": "serve",
    "uvicorn": "serve",
    "httptools": "serve",
    "prometheus_client": "serve",
    "python_multipart": "serve",
    "openvino": "openvino",
    "torch_pruning": "prune",
    "ncnn": "ncnn",
    "pnnx": "ncnn",
    "datasets": "scale",
    "fsspec": "scale",
    "aiohttp": "scale",
    "s3fs": "scale",
    "pyspark": "spark",
    "ray": "ray",
    "h5py": "scenes",
    "rasterio": "geotiff",
}
"""Extra that installs a top-level module."""


def missing_part(error: ModuleNotFoundError) -> MissingPart | None:
    """Return the error for a failed import with the command that installs the extra; None for other modules."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(module)
    if extra is None:
        return None
    return MissingPart(f"this needs {module}, which is not installed; add it with: {install_command(extra)}")


@contextmanager
def naming_missing_parts() -> Iterator[None]:
    """Import a public name. Raises MissingPart for a module of an extra, InputError without a working folder."""
    from pennyweight.core.files import require_working_folder

    require_working_folder()  # importing torch without one ends the process
    try:
        yield
    except ModuleNotFoundError as error:
        raise (missing_part(error) or error) from error


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation, from where it was installed, as a shell takes it."""
    from shlex import quote

    folder = Path(__file__).resolve().parents[3]
    if _is_checkout(folder):
        return f"pip install -e {quote(f'{folder}[{extra}]')}"
    return f"pip install {quote(_origin(extra))}"


def _is_checkout(folder: Path) -> bool:
    """Return True for a folder that is our source tree."""
    import tomllib

    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(project.get("project", {}).get("name") == NAME)


def _origin(extra: str) -> str:
    """Return what pip takes for the distribution with an extra: its folder, its address, or name and version."""
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    named = f"{NAME}[{extra}]"
    try:
        installed = distribution(NAME)
        said = json.loads(installed.read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return named
    url, vcs = str(said.get("url", "")), said.get("vcs_info", {})
    if not url:
        return f"{named}=={installed.version}"
    if "dir_info" in said:
        return f"{url2pathname(urlsplit(url).path)}[{extra}]"
    return f"{named} @ {vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else f"{named} @ {url}"
