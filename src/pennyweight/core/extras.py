"""What is missing, and the command that adds it."""

from __future__ import annotations

from pennyweight.core.errors import MissingPart

__all__ = ["missing_part"]

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
    "timm": "timm",
    "datasets": "scale",
    "fsspec": "scale",
    "aiohttp": "scale",
    "s3fs": "scale",
    "h5py": "scenes",
    "rasterio": "geotiff",
}
"""Top-level module -> the extra that installs it."""


def missing_part(error: ModuleNotFoundError) -> MissingPart | None:
    """The error that a user should see for a failed import, or None when the module is none of the extras'."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(module)
    if extra is None:
        return None
    return MissingPart(f"this needs {module}, which is not installed; add it with: pip install 'pennyweight[{extra}]'")
