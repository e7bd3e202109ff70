"""Tensors and other values that are not numpy arrays but convert to them: found by methods, with a line of code."""

from __future__ import annotations

from typing import Any

__all__ = ["array_line", "is_foreign_array"]

CHANNELS = (1, 3, 4)


def is_foreign_array(value: object) -> bool:
    """Return whether a value is a tensor of torch, or an array of another library that numpy can read."""
    if type(value).__module__.partition(".")[0] in ("numpy", "PIL", "pandas", "polars", "pyarrow", "builtins"):
        return False
    return hasattr(value, "shape") and hasattr(value, "dtype") and (_is_torch(value) or hasattr(value, "__array__"))


def array_line(value: Any, name: str = "x") -> str:
    """Return the expression that makes a uint8 array with the channels last of such a value, called `name`."""
    shape = tuple(value.shape)
    floats = "float" in str(value.dtype)
    torch = _is_torch(value)
    # (C, H, W) of one picture, (N, C, H, W) of several.
    first = len(shape) in (3, 4) and shape[-3] in CHANNELS and (len(shape) == 4 or shape[-1] not in CHANNELS)
    order = {3: "1, 2, 0", 4: "0, 2, 3, 1"}.get(len(shape), "") if first else ""
    if torch:
        scaled = ".mul(255).round().byte()" if floats else ""
        return f"{name}{scaled}{f'.permute({order})' if order else ''}.cpu().numpy()"
    turned = f"np.asarray({name}){f'.transpose({order})' if order else ''}"
    return f"np.uint8(255 * {turned})" if floats else turned


def _is_torch(value: object) -> bool:
    return hasattr(value, "detach") and hasattr(value, "permute")
