"""Loading throughput of shards in pictures per second: this loader and webdataset and mosaicml-streaming.

    python benchmarks/streams_speed.py [--only cifar-disk cifar-s3 photos-disk photos-s3] [--repeats N] [--pictures N]
        [--photos N]

A part of --only takes a few minutes on two idle cores, most of them for the peers: they decode photographs in full, and
start processes for each epoch, or over S3 for each shard.

It needs $PENNYWEIGHT_DATA with cifar10-jpeg and cats-dogs, moto for S3, and both peers (`pip install webdataset
mosaicml-streaming`). Each side has two workers, shuffles, decodes, and treats pictures alike: short side to 256, random
crop of 224, mirror (photographs); mirror and a shift by up to 4 (CIFAR-10). Sides take turns; the table shows medians
of an epoch from its first batch on. S3 is a server in another process that delays each answer by 30 ms; webdataset
reads it by a pipe from fsspec, and mosaicml-streaming downloads it again for each epoch.
"""

import argparse
import io
import logging
import multiprocessing
import os
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from pennyweight.core.heap import keeping_memory
from pennyweight.core.machine import machine, versions
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Augment, Stream
from pennyweight.report.tables import Column, table
from stream_sets import Rows, read_rows, write_mds, write_tars

PARTS = ("cifar-disk", "cifar-s3", "photos-disk", "photos-s3")
WORKERS = 2
DELAY_S = 0.03
STARTS_S = 120
"""Seconds for the server to start and to receive the shards."""
PHOTOS = v2.Compose([v2.Resize(256), v2.RandomCrop(224), v2.RandomHorizontalFlip(), v2.PILToTensor()])
SHARDS = "train-{00..09}.tar"
COPY = "import fsspec,shutil,sys;shutil.copyfileobj(fsspec.open(sys.argv[1]).open(),sys.stdout.buffer)"
SECRETS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

REACH = 4
"""Pixels by which small pictures are shifted."""

Epoch = Callable[[], Iterator[int]]


def change_small(image: Image.Image) -> torch.Tensor:
    """Shift and mirror a small picture by one indexing: torchvision's transforms take ten times as long."""
    pixels = np.asarray(image)
    rows, columns = (np.clip(np.arange(side) + random.randint(-REACH, REACH), 0, side - 1) for side in pixels.shape[:2])
    columns = columns[::-1] if random.random() < 0.5 else columns
    return torch.from_numpy(pixels[rows[:, None], columns])


def treat(content: bytes, transform: Any) -> torch.Tensor:
    """Decode and change a picture as torchvision's users do."""
    made: torch.Tensor = transform(Image.open(io.BytesIO(content)).convert("RGB"))
    return made


class _Treat:
    """Treatment of a sample that a worker process can be given."""

    def __init__(self, picture: str, label: str, transform: Any) -> None:
        self.picture, self.label, self.transform = picture, label, transform

    def __call__(self, sample: dict[str, Any]) -> tuple[torch.Tensor, int]:
        return treat(sample[self.picture], self.transform), int(sample[self.label])


def with_webdataset(address: str, batch: int, transform: Any) -> Epoch:
    """Return the epochs of webdataset as its documentation advises: shards split over the workers, then shuffled."""
    import webdataset

    shards = webdataset.WebDataset(address, shardshuffle=100, workersplitter=webdataset.split_by_worker)
    made = shards.shuffle(1000).map(_Treat("jpg", "cls", transform)).batched(batch)
    loader = DataLoader(made, batch_size=None, num_workers=WORKERS, persistent_workers=True)
    return lambda: (len(pixels) for pixels, _ in loader)


def with_streaming(local: Path, remote: str | None, batch: int, transform: Any) -> Epoch:
    """Return the epochs of mosaicml-streaming; those of a remote set begin with an empty folder."""
    from streaming import StreamingDataset

    class Pictures(StreamingDataset):  # type: ignore[misc]
        def __getitem__(self, number: Any) -> Any:
            sample = super().__getitem__(number)
            return treat(sample["picture"], transform), sample["label"]

    def epoch() -> Iterator[int]:
        if remote:
            shutil.rmtree(local, ignore_errors=True)
        found = Pictures(local=str(local), remote=remote, shuffle=True, batch_size=batch, num_canonical_nodes=1)
        yield from (len(pixels) for pixels, _ in DataLoader(found, batch, num_workers=WORKERS))

    return epoch


def ours(address: str, batch: int, preprocess: Preprocess) -> Epoch:
    """Return our epochs in sequence."""
    stream = Stream(address, preprocess, margin=True)
    number = iter(range(10**9))
    augment = Augment(flip=True, shift=0.125)
    return lambda: (len(made.targets) for made in stream.epoch(next(number), batch=batch, seed=0, augment=augment))


def per_s(epoch: Epoch) -> float:
    """Return pictures per second from the first batch of an epoch to its last."""
    batches = epoch()
    next(batches)
    started = time.perf_counter()
    count = sum(batches)
    return count / (time.perf_counter() - started)


def s3_server(folders: dict[str, Path], address: Any, done: Any) -> None:
    """Serve folders as buckets, each answer after DELAY_S, until `done`."""
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = DomainDispatcherApplication(create_backend_app)
    delayed = [0.0]

    def answer(environ: Any, start: Any) -> Any:
        time.sleep(delayed[0])
        return app(environ, start)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    client = boto3.client("s3", endpoint_url=url)
    for bucket, folder in folders.items():
        client.create_bucket(Bucket=bucket)
        for path in sorted(path for path in folder.glob("*.*") if path.is_file()):
            client.upload_file(str(path), bucket, path.name)
    delayed[0] = DELAY_S
    address.put(url)
    done.get()
    server.shutdown()


@contextmanager
def serving_s3(buckets: dict[str, Path]) -> Iterator[None]:
    """Serve folders as buckets from a process of its own, and set the variables that name it."""
    context = multiprocessing.get_context("spawn")
    address, done = context.Queue(), context.Queue()
    server = context.Process(target=s3_server, args=(buckets, address, done))
    server.start()
    url = os.environ["AWS_ENDPOINT_URL"] = os.environ["S3_ENDPOINT_URL"] = address.get(timeout=STARTS_S)
    os.environ["FSSPEC_S3_ENDPOINT_URL"] = url
    try:
        yield
    finally:
        done.put(None)
        server.join()


def sides_of(one: Any, tars: str, theirs: str, local: Path, remote: str | None) -> dict[str, Epoch]:
    """Return the epochs of each side on a set."""
    _, preprocess, transform, batch = one
    return {
        "here": ours(tars, batch, preprocess),
        "webdataset": with_webdataset(theirs, batch, transform),
        "streaming": with_streaming(local, remote, batch, transform),
    }


def compare(name: str, sides: dict[str, Epoch], repeats: int) -> tuple[Any, ...]:
    """Return a row: medians of the sides, measured in turn, and ours by the better of the others."""
    for epoch in sides.values():
        per_s(epoch)
    turns = [{side: per_s(epoch) for side, epoch in sides.items()} for _ in range(repeats)]
    here, *others = (statistics.median(turn[side] for turn in turns) for side in sides)
    print(name, here, others, flush=True)
    return (name, round(here), *map(round, others), here / max(others))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--photos", type=int, default=800, help="photographs in the shards; they repeat")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ |= SECRETS
    shelf = Path(os.environ["PENNYWEIGHT_DATA"])
    small: Rows = read_rows(shelf / "cifar10-jpeg", "train")[: options.pictures]
    photos = read_rows(shelf / "cats-dogs", "train")
    photos = [photos[place % len(photos)] for place in range(options.photos)]
    draw, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as temporary, keeping_memory():
        folder = Path(temporary)
        sets = {
            "cifar": (small, Preprocess.for_input(32), change_small, 512),
            "photos": (photos, Preprocess.for_input(224, decoding="draft"), PHOTOS, 64),
        }
        chosen = {name: one for name, one in sets.items() if any(part.startswith(name) for part in options.only)}
        for name, (samples, *_) in chosen.items():
            mixed = [samples[place] for place in draw.permutation(len(samples)).tolist()]
            write_tars(folder / name, mixed, files=10)
            size = sum(len(picture) + 16 for picture, _ in mixed) // 10
            write_mds(folder / f"{name}-mds", mixed, bytes_a_shard=size)
        for name, one in chosen.items():
            if f"{name}-disk" in options.only:
                tars = f"{folder}/{name}/{SHARDS}"
                local = folder / f"{name}-mds"
                rows.append(compare(f"{name}, disk", sides_of(one, tars, tars, local, None), options.repeats))
        if any(part.endswith("s3") for part in options.only):
            with serving_s3({path.name: path for path in folder.iterdir()}):
                for name, one in chosen.items():
                    if f"{name}-s3" in options.only:
                        tars, local = f"s3://{name}/{SHARDS}", folder / f"{name}-down"
                        sides = sides_of(one, tars, f"pipe:python -c '{COPY}' {tars}", local, f"s3://{name}-mds")
                        rows.append(compare(f"{name}, S3", sides, options.repeats))
    console = Console()
    columns = ("shards", "here /s", "webdataset /s", "streaming /s", "times the better")
    console.print(table(f"pictures per second, median of {options.repeats}", [Column(c) for c in columns], rows))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
