"""Named sets from their publishers' files, made here in the same form, and downloaded from the loopback."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as peers
from PIL import Image
from scipy.io import savemat

from pennyweight import data
from pennyweight.core.errors import DownloadError, SourceError
from pennyweight.data.readers import named
from pennyweight.data.readers.cifar import read_cifar, read_pickled
from pennyweight.data.readers.named import SETS, read_named_set


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $PENNYWEIGHT_DATA and cache."""
    (tmp_path / "shelf").mkdir()
    monkeypatch.setenv("PENNYWEIGHT_DATA", str(tmp_path / "shelf"))
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "shelf"


def tape_of(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tape:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tape.addfile(info, io.BytesIO(content))
    return path


def pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=3)  # with 2, Python 3 writes bytes as a call


def cifar10_files(count: int = 6) -> tuple[dict[str, bytes], np.ndarray]:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (2, count, 3072), dtype=np.uint8)
    labels = [number % 10 for number in range(count)]
    names = [f"name-{number}".encode() for number in range(10)]
    files = {
        f"cifar-10-batches-py/{name}": pickled({b"data": pixels[number], b"labels": labels})
        for number, name in enumerate(("data_batch_1", "test_batch"))
    }
    return {**files, "cifar-10-batches-py/batches.meta": pickled({b"label_names": names})}, pixels


def test_cifar_is_read_without_running_its_pickles(shelf: Path) -> None:
    files, pixels = cifar10_files()
    tape_of(shelf / "cifar-10-python.tar.gz", files)
    source = data.open("cifar10")
    assert source.labels == tuple(f"name-{number}" for number in range(10))
    assert Counter(sample.split for sample in source.samples) == {"train": 6, "test": 6}
    assert np.array_equal(source.samples[2].picture, pixels[0, 2].reshape(3, 32, 32).transpose(1, 2, 0))
    assert [sample.label for sample in source.samples[:6]] == list(range(6))
    assert (source.size, source.channels, source.mirrors) == (32, 3, True)


class Runs:
    """Its pickle calls a function."""

    def __init__(self, call: Any, *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


@pytest.mark.parametrize(
    "value",
    [
        Runs(os.system, "touch {}"),
        Runs(eval, "open('{}', 'w')"),
        {b"data": Runs(exec, "open('{}', 'w')")},
        Runs(getattr, "x", "upper"),
        np.array([{"a": 1}], dtype=object),
        {b"data": np.zeros(3, np.float32)},
        ["no dictionary"],
    ],
    ids=["system", "eval", "exec inside", "getattr", "objects", "floats", "a list"],
)
def test_a_pickle_that_could_run_anything_is_refused(tmp_path: Path, value: Any) -> None:
    target = tmp_path / "made"
    content = pickled(value).replace(b"{}", str(target).encode()) if not isinstance(value, np.ndarray) else b""
    if isinstance(value, Runs):
        content = pickled(Runs(value.call, *(str(a).replace("{}", str(target)) for a in value.arguments)))
    elif isinstance(value, dict) and isinstance(value[b"data"], Runs):
        inner = value[b"data"]
        content = pickled({b"data": Runs(inner.call, inner.arguments[0].replace("{}", str(target)))})
    elif not content:
        content = pickled(value)
    with pytest.raises(SourceError):
        read_pickled(io.BytesIO(content), where="data_batch_1")
    assert not target.exists()


@pytest.mark.parametrize("damage", ["cut", "other names", "nothing"])
def test_an_archive_that_is_not_cifar_is_one_line(tmp_path: Path, damage: str) -> None:
    files, _ = cifar10_files()
    path = tape_of(tmp_path / "c.tar.gz", {"x": b"1"} if damage == "nothing" else files)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "other names":
        tape_of(path, {"test_batch": pickled({b"pixels": 3})})
    with pytest.raises(SourceError, match=r"c\.tar\.gz"):
        read_cifar(path, name="cifar10", address="cifar10")


def idx_file(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes())


def write_mnist(folder: Path) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    for start, name in ((0, "train"), (6, "t10k")):
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(idx_file(pixels[start : start + 6]))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(idx_file(np.arange(6, dtype=np.uint8)))
    return pixels


def test_sets_made_like_mnist(shelf: Path) -> None:
    (shelf / "fashion-mnist").mkdir()
    pixels = write_mnist(shelf / "fashion-mnist")
    source = data.open("fashion-mnist")
    assert source.labels[9] == "ankle-boot"
    assert (source.channels, source.size) == (1, 32)
    assert np.array_equal(source.samples[7].picture, pixels[7])
    (shelf / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\xff\xff\xff\xff"))
    with pytest.raises(SourceError, match="t10k-labels"):
        data.open("fashion-mnist")


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((80 + seed, 90), 60).save(file, "JPEG")
    return file.getvalue()


def test_pets_by_species_and_by_breed(shelf: Path) -> None:
    pets = [("Abyssinian_1", 1, 1), ("Abyssinian_2", 1, 1), ("beagle_1", 2, 2), ("beagle_2", 2, 2)]
    lists = {
        f"annotations/{name}.txt": "".join(
            f"{file} {breed} {kind} 1\n" for file, breed, kind in pets if file.endswith(ending)
        ).encode()
        for name, ending in (("trainval", "1"), ("test", "2"))
    }
    tape_of(shelf / "annotations.tar.gz", lists)
    tape_of(shelf / "images.tar.gz", {f"images/{pet[0]}.jpg": jpeg(number) for number, pet in enumerate(pets)})
    assert data.open("pets").labels == ("Abyssinian", "beagle")
    source = data.open("cats-dogs")
    assert source.labels == ("cat", "dog")
    assert [(s.name, s.split, s.label) for s in source.samples] == [
        ("Abyssinian_1.jpg", "train", 0),
        ("beagle_1.jpg", "train", 1),
        ("Abyssinian_2.jpg", "test", 0),
        ("beagle_2.jpg", "test", 1),
    ]


def test_flowers(shelf: Path) -> None:
    tape_of(shelf / "102flowers.tgz", {f"jpg/image_{number:05d}.jpg": jpeg(number) for number in range(1, 7)})
    savemat(shelf / "imagelabels.mat", {"labels": np.array([[5, 5, 102, 102, 1, 1]])})
    savemat(shelf / "setid.mat", {"trnid": [[1, 3]], "valid": [[2, 4]], "tstid": [[6, 5]]})
    source = data.open("flowers")
    assert len(source.labels) == 102
    assert [(s.split, source.labels[s.label]) for s in source.samples] == [
        ("train", "5"),
        ("train", "102"),
        ("val", "5"),
        ("val", "102"),
        ("test", "1"),
        ("test", "1"),
    ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(the address of a small server, the folder that it serves)."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    root = tmp_path / "site"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", root
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_nowhere_here_is_downloaded_verified_and_kept(
    shelf: Path, site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, root = site
    archive = tape_of(root / "cifar-10-python.tar.gz", cifar10_files()[0])
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    row = replace(SETS["cifar10"], files={archive.name: (f"{address}/{archive.name}", f"md5:{md5}")})
    monkeypatch.setitem(named.SETS, "cifar10", row)
    source = data.open("cifar10")
    assert f"downloading {archive.name}" in capsys.readouterr().err
    archive.write_bytes(b"gone")
    assert data.open("cifar10").fingerprint == source.fingerprint
    kept = shelf.parent / "cache" / "sets" / "cifar10" / archive.name
    kept.unlink()
    with pytest.raises(DownloadError, match="is not what"):
        read_named_set("cifar10")
    assert not kept.exists()


PEERS = {
    "cifar10": [(peers.CIFAR10.url, peers.CIFAR10.tgz_md5)],
    "cifar100": [(peers.CIFAR100.url, peers.CIFAR100.tgz_md5)],
    "pets": list(peers.OxfordIIITPet._RESOURCES),
    "cats-dogs": list(peers.OxfordIIITPet._RESOURCES),
    "flowers": [
        (peers.Flowers102._download_url_prefix + name, md5) for name, md5 in peers.Flowers102._file_dict.values()
    ],
    "imagenette": [peers.Imagenette._ARCHIVES["320px"]],
    **{
        name: [(peer.mirrors[0] + file, md5) for file, md5 in peer.resources]
        for name, peer in (("mnist", peers.MNIST), ("fashion-mnist", peers.FashionMNIST), ("kmnist", peers.KMNIST))
    },
}


@pytest.mark.parametrize("name", PEERS)
def test_addresses_and_checksums_are_torchvisions(name: str) -> None:
    ours = {(url, checksum.removeprefix("md5:")) for url, checksum in SETS[name].files.values()}
    assert ours == set(PEERS[name])
