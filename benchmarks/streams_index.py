"""Time of the index of 200 shards: by one process, by three, by three of which one is killed, and with trust.

    python benchmarks/streams_index.py [--shards 200] [--pictures 10]

It needs $PENNYWEIGHT_DATA with cats-dogs, whose photographs repeat. Processor seconds are those of all processes
together, the killed one included. The last row is a second user, who has a cache of their own.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from pennyweight import data
from pennyweight.core.machine import machine, versions
from pennyweight.report.tables import Column, table
from stream_sets import read_rows, write_tars

KILLED_AT = 0.2
"""Share of the shards that are done when a process is killed."""
OPEN = (
    "import sys; from pennyweight import data; from pennyweight.data.readers.shard import Shard; read = []; "
    "inner = Shard._open; Shard._open = lambda self: read.append(self.name) or inner(self); "
    "data.open(sys.argv[1], read_as={'trust': True} if sys.argv[2] == 'trust' else None); "
    "print(f'{len(read)} shards were opened', file=sys.stderr)"
)


def run(address: str, cache: Path, *, processes: int = 1, kill: int = 0, trust: bool = False) -> tuple[float, float]:
    """Index the shards, and return the seconds on the clock and on the processors; `kill` shards end a process."""
    started = time.perf_counter()
    command = [sys.executable, "-c", OPEN, address, "trust" if trust else ""]
    made = [
        subprocess.Popen(command, env={**os.environ, "PENNYWEIGHT_CACHE": str(cache / str(number))})
        for number in range(processes)
    ]
    index = Path(address).parent / ".pennyweight"
    while kill and len(list(index.glob("*.npz"))) < kill:
        time.sleep(0.01)
    if kill:
        made[0].send_signal(signal.SIGKILL)
    seconds = 0.0
    for number, process in enumerate(made):
        _, status, used = os.wait4(process.pid, 0)
        seconds += used.ru_utime + used.ru_stime
        expected = -signal.SIGKILL if kill and not number else 0
        assert os.waitstatus_to_exitcode(status) == expected
    return time.perf_counter() - started, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=10, help="photographs in a shard")
    options = parser.parse_args()
    photos = read_rows(Path(os.environ["PENNYWEIGHT_DATA"]) / "cats-dogs", "train")
    count = options.shards * options.pictures
    rows = [(photos[place % len(photos)][0] + place.to_bytes(4, "big"), photos[place % len(photos)][1])
            for place in range(count)]  # fmt: skip
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_tars(folder / "set", rows, files=options.shards)
        names = ",".join(sorted(path.stem for path in (folder / "set").glob("*.tar")))
        address = f"{folder / 'set'}/{{{names}}}.tar"
        cases = {
            "one process": {},
            "three processes": {"processes": 3},
            "three, one killed with -9": {"processes": 3, "kill": int(KILLED_AT * options.shards)},
            "one process, --trust": {"trust": True},
            "a second user": {"trust": True},
        }
        for name, how in cases.items():
            if name != "a second user":
                shutil.rmtree(folder / "set" / ".pennyweight", ignore_errors=True)
            cache = folder / name.replace(" ", "-")
            seconds = run(address, cache, **how)  # type: ignore[arg-type]
            samples = data.open(address, read_as={"trust": True}).samples
            assert len(samples) == len({sample.digest for sample in samples}) == count, "nothing lost, nothing doubled"
            found.append((name, *(round(each, 1) for each in seconds)))
            print(*found[-1], flush=True)
    console = Console()
    title = f"index of {options.shards} shards, {count:,} photographs"
    console.print(table(title, [Column(c) for c in ("by", "seconds", "processor seconds")], found))
    console.print(machine() | versions())


if __name__ == "__main__":
    main()
