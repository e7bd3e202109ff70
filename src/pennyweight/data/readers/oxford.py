"""Pets and flowers, two sets of Oxford's Visual Geometry Group, in their published splits.

Parkhi et al. 2012, Cats and Dogs (37 breeds). Nilsback and Zisserman 2008, Automated Flower Classification (102 kinds).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pennyweight.core.errors import SourceError
from pennyweight.core.reading import reading
from pennyweight.data.readers.archives import unpack_to_cache
from pennyweight.data.readers.contents import Listed, read_samples
from pennyweight.data.readers.input_size import PHOTO_SIZE
from pennyweight.data.scenes.matlab import read_variable
from pennyweight.data.source import Source, Split

__all__ = ["read_flowers", "read_pets"]

SPECIES = ("cat", "dog")
FLOWER_SPLITS: dict[str, Split] = {"trnid": "train", "valid": "val", "tstid": "test"}
KINDS = 102


def read_pets(files: Mapping[str, Path], *, name: str, species: bool) -> Source:
    """Read the pets, labeled by breed or, with `species`, as cat or dog. Raises SourceError for other archives."""
    lists = unpack_to_cache(files["annotations.tar.gz"]).folder / "annotations"
    pictures = unpack_to_cache(files["images.tar.gz"]).folder / "images"
    breeds: dict[int, str] = {}
    rows: list[tuple[str, int, int, Split]] = []
    splits: tuple[tuple[Split, str], ...] = (("train", "trainval"), ("test", "test"))
    for split, listed in splits:
        for line in _lines(lists / f"{listed}.txt"):
            # Columns: file, breed from 1, species from 1, number of the breed within its species.
            file, breed, kind, _ = line.split()
            breeds[int(breed) - 1] = file.rpartition("_")[0]
            rows.append((file, int(breed) - 1, int(kind) - 1, split))
    labels = SPECIES if species else tuple(breeds[number] for number in sorted(breeds))
    return _source(
        name,
        labels,
        [
            (pictures / f"{file}.jpg", kind if species else breed, split, f"{file}.jpg", None)
            for file, breed, kind, split in rows
        ],
    )


def read_flowers(files: Mapping[str, Path]) -> Source:
    """Read the flowers, labeled by the number of their kind, 1 to 102. Raises SourceError for other files."""
    pictures = unpack_to_cache(files["102flowers.tgz"]).folder / "jpg"
    with reading("the labels of flowers"):
        kinds = read_variable(files["imagelabels.mat"], "labels").reshape(-1)
        rows: list[Listed] = []
        for key, split in FLOWER_SPLITS.items():
            for number in read_variable(files["setid.mat"], key).reshape(-1).tolist():
                file = f"image_{number:05d}.jpg"
                rows.append((pictures / file, int(kinds[number - 1]) - 1, split, file, None))
    return _source("flowers", tuple(str(kind) for kind in range(1, KINDS + 1)), rows)


def _source(name: str, labels: tuple[str, ...], rows: list[Listed]) -> Source:
    samples, unreadable, _ = read_samples(rows)
    return Source(name=name, address=name, labels=labels, samples=samples, size=PHOTO_SIZE, unreadable=unreadable)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the list of pets {path.name}: {error}") from error
    return [line for line in lines if line.strip() and not line.startswith("#")]
