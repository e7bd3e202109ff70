"""Usual ways to use a whole network, for `other_programs.py`: copies, precisions, traces and exports.

Each check takes the name of a network, the network in eval mode and its input, and raises an error if it fails.
"""

import copy
import io
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from other_programs_networks import CLASSES, make, same


def copied(name: str, model: nn.Module, x: Tensor) -> None:
    assert torch.equal(copy.deepcopy(model)(x), model(x))


def pickled(name: str, model: nn.Module, x: Tensor) -> None:
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


def channels_last(name: str, model: nn.Module, x: Tensor) -> None:
    form = torch.channels_last_3d if name.startswith("hybrid") else torch.channels_last
    for parameter in model.parameters():
        if parameter.ndim == (5 if name.startswith("hybrid") else 4):
            parameter.data = parameter.data.contiguous(memory_format=form)
    same(model(x.contiguous(memory_format=torch.channels_last)), make(name)(x))


def autocast(name: str, model: nn.Module, x: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = model(x)
    assert found.isfinite().all()


def vmapped(name: str, model: nn.Module, x: Tensor) -> None:
    same(torch.vmap(model)(x[:, None])[:, 0], model(x))


def traced_by_fx(name: str, model: nn.Module, x: Tensor) -> None:
    same(torch.fx.symbolic_trace(model)(x), model(x))


def traced_in_training(name: str, model: nn.Module, x: Tensor) -> None:
    torch.fx.symbolic_trace(model.train())(x)


def features_extracted(name: str, model: nn.Module, x: Tensor) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    modules = dict(model.named_modules())
    inner = [node for node in get_graph_node_names(model)[1] if node in modules and "." in node]
    found = create_feature_extractor(model, {inner[len(inner) // 2]: "inner"})(x)
    assert list(found) == ["inner"]


def prepared_for_quantization(name: str, model: nn.Module, x: Tensor) -> None:
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import prepare_fx

    prepare_fx(model, get_default_qconfig_mapping(), (x,))(x)


def scripted(name: str, model: nn.Module, x: Tensor) -> None:
    same(torch.jit.script(model)(x), model(x))


def traced_by_jit(name: str, model: nn.Module, x: Tensor) -> None:
    same(torch.jit.trace(model, x)(x[:1]), model(x[:1]))  # type: ignore[no-untyped-call]


def _export(model: nn.Module, x: Tensor, shapes: dict[int, Any], *, strict: bool) -> nn.Module:
    return torch.export.export(model, (x,), dynamic_shapes=(shapes,), strict=strict).module()


def exported(name: str, model: nn.Module, x: Tensor) -> None:
    same(_export(model, x, {0: Dim("batch")}, strict=False)(x[:1]), model(x[:1]))


def exported_strictly(name: str, model: nn.Module, x: Tensor) -> None:
    same(_export(model, x, {0: Dim("batch")}, strict=True)(x[:1]), model(x[:1]))


def exported_of_any_size(name: str, model: nn.Module, x: Tensor) -> None:
    sides = {2: Dim("height", min=64, max=512), 3: Dim("width", min=64, max=512)}
    wide = torch.randn(1, x.shape[1], 96, 128)
    same(_export(model, wide, sides, strict=False)(wide.mT), model(wide.mT))


def compiled(name: str, model: nn.Module, x: Tensor) -> None:
    torch.compiler.reset()
    same(torch.compile(model, fullgraph=True, backend="eager")(x), model(x))


def exported_to_onnx(name: str, model: nn.Module, x: Tensor) -> None:
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(model, (x,), dynamic_shapes=({0: Dim("batch")},), verbose=False).save(file)  # type: ignore[union-attr, arg-type]
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x[:1].numpy()})
    same(torch.from_numpy(found), model(x[:1]))


def distributed(name: str, model: nn.Module, x: Tensor) -> None:
    if not torch.distributed.is_initialized():
        store = Path(tempfile.mkdtemp()) / "store"
        torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    with torch.enable_grad():
        nn.parallel.DistributedDataParallel(model.train())(x).sum().backward()


def pooled(name: str, model: nn.Module, x: Tensor) -> None:
    features = make(name, num_classes=0)(x)
    assert features.ndim == 2
    assert features.shape[1] > CLASSES
