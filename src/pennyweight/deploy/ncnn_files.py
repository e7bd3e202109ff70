"""Convert a network to the two files of ncnn, for phones and small boards, and execute them for the proof."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from pennyweight.core.errors import InputError
from pennyweight.core.extras import missing_part
from pennyweight.core.images import Pixels
from pennyweight.core.machine import cores
from pennyweight.core.manifest import LOGITS, PROBABILITIES
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy.export import to_onnx
from pennyweight.nn import FromPixels
from pennyweight.runtime import Outputs

__all__ = ["BIN", "PARAM", "PIXELS", "NcnnEngine", "require_ncnn", "write_ncnn"]

PARAM, BIN = "model.param", "model.bin"
"""Names of the two files: the graph as text, and the weights in float32."""
PIXELS = "pixels"
"""Name of the input: (C, H, W) float32 from 0 to 255, as ncnn's `Mat::from_pixels` gives them."""
BLOBS = {"in0": PIXELS, "out0": PROBABILITIES, "out1": LOGITS}
"""pnnx's names of inputs and outputs, and ours."""


class PixelGraph(nn.Module):
    """Network with scaling and softmax inside: (1, C, H, W) float32 from 0 to 255 -> probabilities, logits."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        scaling = FromPixels(preprocess.mean, preprocess.std)
        self.register_buffer("scale", scaling.scale, persistent=False)
        self.register_buffer("shift", scaling.shift, persistent=False)
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        logits: Tensor = self.network(pixels * self.scale + self.shift)
        return logits.softmax(dim=1), logits


def require_ncnn() -> tuple[Any, Any]:
    """Return the engine and its converter, pnnx. Raises MissingPart where one is not installed."""
    try:
        import ncnn
        import pnnx
    except ModuleNotFoundError as error:
        raise (missing_part(error) or error) from error
    return ncnn, pnnx


def write_ncnn(network: nn.Module, preprocess: Preprocess, folder: Path) -> None:
    """Write PARAM and BIN of a network to a folder.

    Args:
        network: The network on the CPU.
        preprocess: Its preprocessing, of which the scaling becomes part of the graph.
        folder: Folder that exists.

    Raises:
        InputError: The network has an operator that ncnn lacks.
        MissingPart: ncnn or pnnx is not installed.
    """
    _, pnnx = require_ncnn()
    height, width, channels = preprocess.shape
    example = torch.zeros(1, channels, height, width)
    model = to_onnx(PixelGraph(network, preprocess).eval(), example, {}).model
    _pool_globally(model)
    with tempfile.TemporaryDirectory() as scratch:
        onnx.save(model, Path(scratch, "model.onnx"))
        shape = ",".join(str(side) for side in example.shape)
        command = [pnnx.EXEC_PATH, "model.onnx", f"inputshape=[{shape}]f32", "fp16=0"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
        _require_converted(done.returncode, done.stdout + done.stderr, Path(scratch, "model.ncnn.param"))
        text = Path(scratch, "model.ncnn.param").read_text(encoding="utf-8")
        for theirs, ours in BLOBS.items():
            text = re.sub(rf"(?<=\s){theirs}(?=\s)", ours, text)
        (folder / PARAM).write_text(text, encoding="utf-8")
        (folder / BIN).write_bytes(Path(scratch, "model.ncnn.bin").read_bytes())


def _pool_globally(model: onnx.ModelProto) -> None:
    """Replace maxima over height and width by global max pooling, which ncnn has, in place."""
    constants = {each.name: numpy_helper.to_array(each).tolist() for each in model.graph.initializer if each.dims}
    for node in model.graph.node:
        if node.op_type == "ReduceMax" and len(node.input) == 2 and constants.get(node.input[1]) in ([2, 3], [-2, -1]):
            kept = next((each.i for each in node.attribute if each.name == "keepdims"), 1)
            if kept:
                node.op_type = "GlobalMaxPool"
                del node.input[1:], node.attribute[:]


def _require_converted(status: int, log: str, path: Path) -> None:
    """Raise InputError for a conversion that failed, or that left operators which ncnn lacks."""
    lacking = sorted(set(re.findall(r"^ignore (\S+) \S+ param", log, re.MULTILINE)))
    if lacking:
        raise InputError(f"ncnn cannot execute this network: it lacks {', '.join(lacking)}; nothing was written")
    if status or not path.is_file():
        last = (log.strip().splitlines() or ["it said nothing"])[-1]
        raise InputError(f"pnnx cannot convert this network ({last}); nothing was written")


class NcnnEngine:
    """Engine that executes the two files in float32, picture by picture: (B, H, W, C) uint8 -> Outputs.

    Raises InputError where ncnn cannot open them.
    """

    def __init__(self, folder: Path) -> None:
        self._ncnn, _ = require_ncnn()
        self.name = f"ncnn {self._ncnn.__version__}"
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = self.threads = cores()
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(self._net.opt, option, False)
        if self._net.load_param(str(folder / PARAM)) or self._net.load_model(str(folder / BIN)):
            raise InputError(f"ncnn cannot open the files in {folder}; convert the network again")

    def __call__(self, pixels: Pixels) -> Outputs:
        """Compute probabilities and logits, both (B, classes)."""
        rows = [self._answer(picture) for picture in pixels]
        return Outputs(*(np.stack(part) for part in zip(*rows, strict=True)))

    def _answer(self, picture: Pixels) -> list[Any]:
        """Return probabilities and logits of one picture (H, W, C), both (classes,)."""
        values = np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)
        extractor = self._net.create_extractor()
        extractor.input(PIXELS, self._ncnn.Mat(values).clone())  # a Mat of an array does not keep it alive
        found = [extractor.extract(name) for name in (PROBABILITIES, LOGITS)]
        if any(status for status, _ in found):
            raise InputError("ncnn failed to execute the network; convert it again")
        return [np.array(blob, np.float32).reshape(-1) for _, blob in found]
