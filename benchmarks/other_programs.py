"""Networks in other people's programs: the usual ways to use a network, tried on networks of three libraries.

    python benchmarks/other_programs.py [--out FILE] [--all] [--only CHECK …]

Each check raises an error if it fails; the libraries are tried in processes of their own. By default one small network
of each family is tried; --all tries every network of ours below 1.2 G MACs. timm, captum and torch-pruning must be
installed.
"""

import argparse
import copy
import importlib.metadata
import io
import multiprocessing
import pickle
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from pennyweight import zoo
from pennyweight.core.machine import machine_line
from pennyweight.nn.ends import ends

CLASSES = 5
MOST_MACS = 1_200_000_000
NETWORKS: dict[str, tuple[str, ...]] = {
    "ours": (
        *("mobilenet_v1_x0_25", "mobilenet_v2_x0_35", "shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5"),
        *("efficientnet_b0", "resnet18", "se_resnet50", "resnet_9_x0_25", "vit_ti_16", "hybrid_sn", "spectral_mlp"),
    ),
    "torchvision": tuple(
        f"torchvision:{name}"
        for name in (
            "mobilenet_v2",
            "mobilenet_v3_small",
            "shufflenet_v2_x0_5",
            "efficientnet_b0",
            "resnet18",
            "vit_b_32",
        )
    ),
    "timm": tuple(
        f"timm:{name}"
        for name in (
            *("mobilenetv1_100", "mobilenetv2_050", "mobilenetv3_small_050", "efficientnet_b0", "resnet18"),
            *("seresnet50", "vit_tiny_patch16_224"),
        )
    ),
}
FIXED_SIZE = ("vit", "hybrid_sn", "window_cnn", "spectral_mlp")
SCENES = FIXED_SIZE[1:]


def is_fixed(name: str) -> bool:
    return name.partition(":")[2].startswith(FIXED_SIZE) or name.startswith(FIXED_SIZE)


@cache
def _made(name: str, options: tuple[tuple[str, Any], ...]) -> nn.Module:
    torch.manual_seed(0)
    return zoo.create(name, **dict(options)).eval()


def make(name: str, **options: Any) -> nn.Module:
    """Make the network in eval mode, for five classes unless `options` say otherwise; the same values every time."""
    config = {"size": 32} if name.startswith("vit_") else {}
    return copy.deepcopy(_made(name, tuple({"num_classes": CLASSES, **config, **options}.items())))


def sample(name: str, batch: int = 2) -> Tensor:
    channels, side, _ = zoo.form(name).input_shape
    if name.startswith("vit_") or not is_fixed(name):
        side = 32 if name.startswith("vit_") else min(side, 64)
    torch.manual_seed(1)
    return torch.randn(batch, channels, side, side)


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


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


class ListNamed(nn.Module):
    """Backbone of timm, whose list of maps gets names."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, self.network(x)[-len(self.names) :], strict=True))


def backbone(name: str, outputs: Sequence[str], **options: Any) -> tuple[nn.Module, list[int]]:
    """Return a network that gives its last stages under the names of `outputs`, and their channels."""
    from torchvision.models.feature_extraction import create_feature_extractor

    if name.startswith("timm:"):
        body: nn.Module = ListNamed(zoo.create(name, features_only=True, **options), outputs)
    else:
        network = make(name, num_classes=0, **options)
        stages = [node for node, _ in network.named_children() if node.startswith(("layer", "stage"))]
        inside = "trunk" if ":" not in name else "features"
        stages = stages or [f"{inside}.{node}" for node, _ in network.get_submodule(inside).named_children()]
        body = create_feature_extractor(network, dict(zip(stages[-len(outputs) :], outputs, strict=True)))
    return body, [features.shape[1] for features in body.eval()(sample(name)).values()]


def detecting(name: str, model: nn.Module, x: Tensor) -> None:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

    body, channels = backbone(name, ("0", "1"))
    pyramid = nn.Sequential(body, FeaturePyramidNetwork(channels, 32))
    pyramid.out_channels = 32  # type: ignore[assignment]
    detector = FasterRCNN(
        pyramid,
        num_classes=3,
        min_size=64,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,)), ((1.0,),) * 2),
        box_roi_pool=MultiScaleRoIAlign(["0", "1"], 7, 2),
    )
    truth = [{"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}]
    with torch.enable_grad():
        losses = detector.train()([torch.rand(3, 64, 96)], truth)
        sum(losses.values()).backward()


def segmenting(name: str, model: nn.Module, x: Tensor) -> None:
    from torchvision.models.segmentation import DeepLabV3
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead

    dilated = {"replace_stride_with_dilation": (False, True, True)} if "torchvision" in name else {"output_stride": 8}
    body, channels = backbone(name, ("out",), **dilated)
    assert body(x)["out"].shape[2] == x.shape[2] // 8
    with torch.enable_grad():
        found = DeepLabV3(body, DeepLabHead(channels[-1], 3)).train()(x)["out"]
        found.sum().backward()
    assert found.shape == (len(x), 3, *x.shape[2:])


def attributed(name: str, model: nn.Module, x: Tensor) -> None:
    from captum.attr import IntegratedGradients

    with torch.enable_grad():
        found = IntegratedGradients(model).attribute(x, target=1, n_steps=2)
    assert found.shape == x.shape


def pruned(name: str, model: nn.Module, x: Tensor) -> None:
    import torch_pruning

    head = model.get_submodule(ends(model).heads[0])
    options = {"pruning_ratio": 0.5, "ignored_layers": [head]}
    with torch.enable_grad():
        importance = torch_pruning.importance.MagnitudeImportance(p=2)
        torch_pruning.pruner.MagnitudePruner(model, x[:1], importance=importance, **options).step()
        model.train()(x).sum().backward()


PICTURES = ("detecting", "segmenting", "exported_of_any_size")
CHECKS: dict[str, Callable[[str, nn.Module, Tensor], None]] = {
    "`copy.deepcopy`": copied,
    "`pickle` of the whole network": pickled,
    "channels last": channels_last,
    "autocast to bfloat16": autocast,
    "`torch.vmap`": vmapped,
    "`DistributedDataParallel`": distributed,
    "`torch.fx.symbolic_trace`, eval mode": traced_by_fx,
    "`torch.fx.symbolic_trace`, training mode": traced_in_training,
    "torchvision's `create_feature_extractor`": features_extracted,
    "FX quantization, `prepare_fx`": prepared_for_quantization,
    "`torch.jit.script`": scripted,
    "`torch.jit.trace`": traced_by_jit,
    "`torch.export`, any batch": exported,
    "`torch.export`, strict": exported_strictly,
    "`torch.export`, any height and width": exported_of_any_size,
    "`torch.compile(fullgraph=True)`": compiled,
    "`torch.onnx.export`, run by onnxruntime": exported_to_onnx,
    "`num_classes=0` gives pooled features": pooled,
    "torchvision's `FasterRCNN` with a feature pyramid": detecting,
    "torchvision's `DeepLabV3` at output stride 8": segmenting,
    "captum's `IntegratedGradients`": attributed,
    "torch-pruning, half of all channels": pruned,
}


def applies(check: str, name: str) -> bool:
    """Return False for a check that is about pictures of any size, and a network that takes none."""
    return not (CHECKS[check].__name__ in PICTURES and is_fixed(name))


def attempt(check: str, name: str) -> str:
    """Return why a check fails for a network, in one line; empty if it holds."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            CHECKS[check](name, make(name), sample(name))
    except Exception as error:  # other libraries raise anything
        said = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {said[:110]}"
    return ""


def attempt_all(library: str, names: Sequence[str], checks: Sequence[str]) -> dict[str, dict[str, str]]:
    """Run the checks on one library's networks; return why each failed, by check and network."""
    torch.set_num_threads(1)
    results = {}
    for check in checks:
        results[check] = {name: attempt(check, name) for name in names if applies(check, name)}
        failed = {name: why for name, why in results[check].items() if why}
        print(
            f"{library}: {check}: {len(results[check]) - len(failed)} of {len(results[check])} {failed or ''}",
            flush=True,
        )
    return results


def report(networks: dict[str, tuple[str, ...]], results: Sequence[dict[str, dict[str, str]]]) -> str:
    """Return the page's table, networks and failures as Markdown."""
    rows = ["| | " + " | ".join(networks) + " |", "| --- |" + " --- |" * len(networks)]
    failures: list[str] = []
    for check in results[0]:
        cells = []
        for found in results:
            failed = {name: why for name, why in found[check].items() if why}
            cells.append("all" if not failed else f"{len(found[check]) - len(failed)} of {len(found[check])}")
            failures += [f"- {check}, `{name}`: {why}" for name, why in failed.items()]
        rows.append(f"| {check} | {' | '.join(cells)} |")
    listed = [f"- {library}: {', '.join(f'`{name}`' for name in names)}" for library, names in networks.items()]
    packages = ("torch", "torchvision", "timm", "captum", "torch-pruning", "onnxruntime")
    about = f"{machine_line()}; " + ", ".join(f"{one} {importlib.metadata.version(one)}" for one in packages)
    return "\n\n".join([about, "\n".join(rows), "\n".join(listed), "\n".join(failures) or "Nothing failed."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", nargs="*", default=())
    options = parser.parse_args()
    networks = dict(NETWORKS)
    if options.all:
        networks["ours"] = tuple(name for name in zoo.names() if zoo.variant(name).macs < MOST_MACS)
    checks = [check for check in CHECKS if not options.only or any(word in check for word in options.only)]
    with ProcessPoolExecutor(len(networks), mp_context=multiprocessing.get_context("spawn")) as pool:
        tried = [pool.submit(attempt_all, library, names, checks) for library, names in networks.items()]
        text = report(networks, [one.result() for one in tried])
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
