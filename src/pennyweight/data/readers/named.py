"""Named sets: found under $PENNYWEIGHT_DATA or in the cache, else downloaded and verified.

A row of SETS gives the files to download and their reader. Addresses and checksums are torchvision's. The files and
their licenses belong to the publishers, to whom the addresses lead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pennyweight.core.cache import cached_file
from pennyweight.core.download import fetch
from pennyweight.data.readers.archives import unpack_to_cache
from pennyweight.data.readers.cifar import read_cifar
from pennyweight.data.readers.digits import read_digits
from pennyweight.data.readers.folder import read_folder
from pennyweight.data.readers.idx import FILES, read_idx
from pennyweight.data.readers.oxford import read_flowers, read_pets
from pennyweight.data.source import Source

__all__ = ["SETS", "NamedSet", "read_named_set"]

Files = Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """Files of a named set, as name -> (address, checksum), and the reader that makes a source of their paths."""

    files: Mapping[str, tuple[str, str]]
    read: Callable[[Files], Source]


def _one(url: str, md5: str) -> dict[str, tuple[str, str]]:
    return {url.rpartition("/")[2]: (url, f"md5:{md5}")}


def _idx(mirror: str, *md5s: str) -> dict[str, tuple[str, str]]:
    names = [name for pair in FILES.values() for name in pair]
    return {name: (mirror + name, f"md5:{md5}") for name, md5 in zip(names, md5s, strict=True)}


def _unpacked_folder(name: str, inner: str, files: Files) -> Source:
    (archive,) = files.values()
    return read_folder(unpack_to_cache(archive).folder / inner, address=name)


def _cifar(name: str, files: Files) -> Source:
    (archive,) = files.values()
    return read_cifar(archive, name=name, address=name)


CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
OXFORD = "https://www.robots.ox.ac.uk/~vgg/data"
PET_FILES = {
    "images.tar.gz": (f"{OXFORD}/pets/data/images.tar.gz", "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c"),
    "annotations.tar.gz": (f"{OXFORD}/pets/data/annotations.tar.gz", "md5:95a8c909bbe2e81eed6a22bccdf3f68f"),
}

SETS: dict[str, NamedSet] = {
    "digits": NamedSet(files={}, read=lambda files: read_digits()),
    "cifar10": NamedSet(
        files=_one("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
        read=partial(_cifar, "cifar10"),
    ),
    "cifar100": NamedSet(
        files=_one("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
        read=partial(_cifar, "cifar100"),
    ),
    "mnist": NamedSet(
        files=_idx(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        read=partial(read_idx, name="mnist", address="mnist", labels=tuple(map(str, range(10))), mirrors=False),
    ),
    "fashion-mnist": NamedSet(
        files=_idx(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        read=partial(read_idx, name="fashion-mnist", address="fashion-mnist", labels=CLOTHES, mirrors=True),
    ),
    "kmnist": NamedSet(
        files=_idx(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        read=partial(read_idx, name="kmnist", address="kmnist", labels=KANA, mirrors=False),
    ),
    "cats-dogs": NamedSet(
        files=PET_FILES,
        read=partial(read_pets, name="cats-dogs", species=True),
    ),
    "pets": NamedSet(
        files=PET_FILES,
        read=partial(read_pets, name="pets", species=False),
    ),
    "flowers": NamedSet(
        files={
            "102flowers.tgz": (f"{OXFORD}/flowers/102/102flowers.tgz", "md5:52808999861908f626f3c1f4e79d11fa"),
            "imagelabels.mat": (f"{OXFORD}/flowers/102/imagelabels.mat", "md5:e0620be6f572b9609742df49c70aed4d"),
            "setid.mat": (f"{OXFORD}/flowers/102/setid.mat", "md5:a5357ecc9cb78c4bef273ce3793fc85c"),
        },
        read=read_flowers,
    ),
    "eurosat": NamedSet(
        files={
            "EuroSAT.zip": (
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                "md5:c8fa014336c82ac7804f0398fcb19387",
            )
        },
        read=partial(_unpacked_folder, "eurosat", "2750"),
    ),
    "imagenette": NamedSet(
        files=_one(
            "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz", "3df6f0d01a2c9592104656642f5e78a3"
        ),
        read=partial(_unpacked_folder, "imagenette", "imagenette2-320"),
    ),
}
"""Name -> set. `./digits` opens a folder of that name instead."""


def read_named_set(name: str) -> Source:
    """Read the set of that name, after downloading the files that are missing. Raises DownloadError, SourceError.

    Files are looked for in $PENNYWEIGHT_DATA/NAME, $PENNYWEIGHT_DATA and the cache.
    """
    row = SETS[name]
    files: dict[str, Path] = {}
    for file, (url, checksum) in row.files.items():
        files[file] = _on_shelf(name, file) or fetch(url, cached_file("sets", name, file), checksum=checksum)
    return row.read(files)


def _on_shelf(name: str, file: str) -> Path | None:
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    places = (Path(shelf, name, file), Path(shelf, file)) if shelf else ()
    return next((place for place in places if place.is_file()), None)
