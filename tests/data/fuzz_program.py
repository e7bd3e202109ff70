"""Read every file of a folder as a kind of data; print what was wrong with how that went, as JSON.

fuzz_program.py KIND FOLDER
"""

import json
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pennyweight.core.errors import PennyweightError
from pennyweight.core.text import printable

warnings.simplefilter("error")


def source(path: Path) -> None:
    from pennyweight import data

    for sample in data.open(path).samples[:20]:
        sample.read()


def shard(path: Path) -> None:
    from pennyweight.data.readers.shard import Shard

    list(Shard(str(path), None).examples())


def scene(path: Path) -> None:
    from pennyweight.data.scenes.label_maps import open_label_map
    from pennyweight.data.scenes.open import open_scene

    path = path.with_suffix(".hdr") if path.suffix == ".img" else path
    cube = open_scene(path).cube
    assert cube[:1].shape[0] == 1
    with suppress(PennyweightError):
        open_label_map(path, shape=(cube.shape[0], cube.shape[1]))


def manifest(path: Path) -> None:
    from pennyweight.core.manifest import Manifest

    made = Manifest.from_json(path.read_text(encoding="utf-8", errors="surrogateescape"), name=str(path))
    made.to_json()
    assert all(isinstance(label, str) for label in made.labels)


def scene_manifest(path: Path) -> None:
    from pennyweight.core.scene_manifest import SceneManifest

    SceneManifest.from_json(path.read_text(encoding="utf-8", errors="surrogateescape"), name=str(path)).to_json()


def run(path: Path) -> None:
    """A run whose run.json is `path`, as far as nothing is computed; a few are built."""
    from pennyweight.verbs.load import open_trained, preprocess_of, restore
    from pennyweight.verbs.scenes.scene_run import is_scene_run

    folder = path.with_suffix("")
    folder.mkdir()
    path.rename(folder / "run.json")
    opened = open_trained(folder)
    is_scene_run(opened)
    opened.labels  # noqa: B018
    preprocess_of(opened)
    if int(path.name[:5]) % 30 == 0:
        try:
            restore(opened)
        except PennyweightError as error:
            if "weights.safetensors" not in str(error):  # which nobody wrote
                raise


KINDS: dict[str, Callable[[Path], None]] = {
    read.__name__.replace("_", "-"): read for read in (source, shard, scene, manifest, scene_manifest, run)
}

if __name__ == "__main__":
    read, folder = KINDS[sys.argv[1]], Path(sys.argv[2])
    bad, whole = [], 0
    for path in sorted(
        path for path in folder.iterdir() if path.suffix != ".hdr" or not path.with_suffix(".img").exists()
    ):
        try:
            read(path)
            whole += 1
        except PennyweightError as error:
            line = printable(str(error))
            if path.stem not in line or line.startswith("unexpected"):
                bad.append(f"{path.name}: {line}")
        except BaseException as error:
            bad.append(f"{path.name}: {type(error).__name__} {error}")
    mib = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"bad": bad, "whole": whole, "mib": mib}))
