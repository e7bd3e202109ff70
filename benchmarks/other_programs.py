"""Networks in other people's programs: the usual ways to use a network, tried on networks of three libraries.

    python benchmarks/other_programs.py [--out docs/measured/other-programs.md] [--all] [--only WORD …]

Each check raises an error if it fails. The libraries are tried one after another, each in a process with one thread.
By default a small network of each family is tried; --all tries every network of ours below 1.2 G MACs. --only runs the
checks whose names contain a word. timm, captum and torch-pruning must be installed.
"""

import argparse
import importlib.metadata
import multiprocessing
import textwrap
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

import other_programs_checks as checks
import other_programs_tasks as tasks
from other_programs_networks import NETWORKS, is_fixed, make, sample
from pennyweight import zoo
from pennyweight.core.machine import machine_line

MOST_MACS = 1_200_000_000
MOST_LETTERS = 240
"""Letters of an error on the page; a longer one ends after a whole word."""
PACKAGES = ("torchvision", "timm", "captum", "torch-pruning", "onnxruntime")
Check = Callable[[str, nn.Module, Tensor], None]
CHECKS: dict[str, Check] = {
    "`copy.deepcopy`": checks.copied,
    "`pickle` of the whole network": checks.pickled,
    "channels last": checks.channels_last,
    "autocast to bfloat16": checks.autocast,
    "`torch.vmap`": checks.vmapped,
    "`DistributedDataParallel`": checks.distributed,
    "`torch.fx.symbolic_trace`, eval mode": checks.traced_by_fx,
    "`torch.fx.symbolic_trace`, training mode": checks.traced_in_training,
    "torchvision's `create_feature_extractor`": checks.features_extracted,
    "FX quantization, `prepare_fx`": checks.prepared_for_quantization,
    "`torch.jit.script`": checks.scripted,
    "`torch.jit.trace`": checks.traced_by_jit,
    "`torch.export`, any batch": checks.exported,
    "`torch.export(strict=True)`, any batch": checks.exported_strictly,
    "`torch.export`, any height and width": checks.exported_of_any_size,
    "`torch.compile(fullgraph=True)`": checks.compiled,
    "`torch.onnx.export`, run by onnxruntime": checks.exported_to_onnx,
    "`num_classes=0` gives pooled features": checks.pooled,
    "torchvision's `FasterRCNN` with a feature pyramid": tasks.detecting,
    "torchvision's `DeepLabV3` at output stride 8": tasks.segmenting,
    "captum's `IntegratedGradients`": tasks.attributed,
    "torch-pruning, half of all channels": tasks.pruned,
}
OF_ANY_SIZE = (tasks.detecting, tasks.segmenting, checks.exported_of_any_size)
"""Checks that leave out networks of one input size."""
PAGE = """\
# Networks in other people's programs

This page shows the usual ways to use a network, tried with networks of Pennyweight, torchvision and timm. A cell gives
the number of networks for which a check holds. `benchmarks/other_programs.py` holds each check and writes this page.

One small network of each family of Pennyweight is tried. torchvision and timm are tried with the same families where
they have them, and with MobileNetV3. Three checks leave out networks of one input size: detection, segmentation and
exports of any height and width.

Measured on: {machine}, {packages}.

{table}

{networks}

## Failures

{failures}

In detail:

- **Dilation.** Pennyweight and timm take `output_stride=8`. torchvision takes `replace_stride_with_dilation`, which
  only its ResNets and ResNeXts of bottlenecks have.
- **Pruning.** torch-pruning gets no settings for attention here, and does not follow a channel shuffle.
  [The page on backbones](../backbones.md#pruning) gives the settings for a ViT, and prunes a ShuffleNetV2 unit by unit.
"""


def attempt(check: str, name: str) -> str:
    """Return why a check fails for a network, in one line; empty if it holds."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            CHECKS[check](name, make(name), sample(name))
    except Exception as error:  # other libraries raise anything
        said = " ".join((str(error).strip().splitlines() or [""])[0].split()).replace("|", "\\|")
        return f"{type(error).__name__}: {textwrap.shorten(said, MOST_LETTERS, placeholder=' …')}"
    return ""


def attempt_all(library: str, names: Sequence[str], chosen: Sequence[str]) -> dict[str, dict[str, str]]:
    """Run the checks on one library's networks; return why each failed, by check and network."""
    torch.set_num_threads(1)
    results = {}
    for check in chosen:
        tried = [name for name in names if not (CHECKS[check] in OF_ANY_SIZE and is_fixed(name))]
        results[check] = {name: attempt(check, name) for name in tried}
        failed = {name: why for name, why in results[check].items() if why}
        print(f"{library}: {check}: {len(tried) - len(failed)} of {len(tried)} {failed or ''}", flush=True)
    return results


def write_page(networks: dict[str, tuple[str, ...]], results: Sequence[dict[str, dict[str, str]]]) -> str:
    """Return the page as Markdown: the table, the networks and every failure with the first line of its error."""
    table = ["| | " + " | ".join(networks) + " |", "| --- |" + " --- |" * len(networks)]
    failures = []
    for check in results[0]:
        cells = []
        for found in results:
            failed = {name: why for name, why in found[check].items() if why}
            cells.append("all" if not failed else f"{len(found[check]) - len(failed)} of {len(found[check])}")
            failures += [f"| {check} | `{name}` | {why} |" for name, why in failed.items()]
        table.append(f"| {check} | {' | '.join(cells)} |")
    listed = [f"- {library}: {', '.join(f'`{name}`' for name in names)}" for library, names in networks.items()]
    first = ["Each failure has the first line of its error.\n", "| check | network | error |", "| --- | --- | --- |"]
    return PAGE.format(
        machine=machine_line(),
        packages=", ".join(f"{one} {importlib.metadata.version(one)}" for one in PACKAGES),
        table="\n".join(table),
        networks="\n".join(listed),
        failures="\n".join([*first, *failures]) if failures else "Nothing failed.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the page there instead of printing it")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", nargs="*", default=())
    options = parser.parse_args()
    networks = dict(NETWORKS)
    if options.all:
        networks["ours"] = tuple(name for name in zoo.names() if zoo.variant(name).macs < MOST_MACS)
    chosen = [check for check in CHECKS if not options.only or any(word in check for word in options.only)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        tried = [pool.submit(attempt_all, library, names, chosen) for library, names in networks.items()]
        page = write_page(networks, [one.result() for one in tried])
    if options.out:
        options.out.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
