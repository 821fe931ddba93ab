"""A log that is being written: sample entries at a steady rate, rotated as Zoomdata does it. For trying a whole system.

python -m indexer.demo.writer /logs/zoomdata-activity.log --rate 20
"""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from indexer.demo import sample

PAST = 2_000
"""Entries of the week before, written at once; a week is what the sample tells."""
TURN = 0.05
"""Seconds between writes."""
DEFAULT_ROTATION = 10_000_000
"""Bytes after which Zoomdata begins a new file (its documentation, "activity.log.file.size")."""
SAMPLE = 10_000
"""Entries of each sample after the first."""


def write(
    path: Path, *, rate: float, rotation: int, keep: int, past: int = PAST, broken_every: int = SAMPLE
) -> None:
    """Append entries for ever, `rate` of them a second; a log that is not there yet begins with the `past`. Raises OSError.

    After each `broken_every` of them follow lines that are none.
    As soon as the file has `rotation` bytes it becomes `path`.1, that one `path`.2, and so on; `keep` such files stay.
    """
    past = 0 if path.exists() else past
    lines = _lines(past, broken_every)
    path.parent.mkdir(parents=True, exist_ok=True)
    due, started = past, time.monotonic()
    written = 0
    while True:
        with path.open("ab", buffering=0) as log:
            while log.tell() < rotation:
                if written >= due:
                    time.sleep(TURN)
                    due = past + int((time.monotonic() - started) * rate)
                    continue
                log.write(next(lines) + b"\n")
                written += 1
        rotate(path, keep)


def rotate(path: Path, keep: int) -> None:
    """Move the file and its predecessors one number on; what would be beyond `keep` is deleted."""
    for number in range(keep, 0, -1):
        older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    if keep == 0:
        path.unlink()


def _lines(past: int, broken_every: int) -> Iterator[bytes]:
    """The sample's week, then another sample after the other, each entry dated when it is asked for; among them what is none."""
    begun = datetime.now(UTC)
    yield from sample.entries(past, end=begun)
    for seed in itertools.count(2):
        for number, line in enumerate(sample.entries(SAMPLE, end=begun, seed=seed), 1):
            now = datetime.now(UTC).isoformat(" ", "milliseconds")[:23]
            yield orjson.dumps(orjson.loads(line) | {"eventDate": now})
            if number % broken_every == 0:
                yield from sample.broken()


def main(
    path: Path,
    rate: Annotated[float, typer.Option(help="Entries a second.", min=0)] = 20,
    rotate_at: Annotated[
        int, typer.Option(help="Bytes of a file, at which the next begins.", min=1)
    ] = DEFAULT_ROTATION,
    keep: Annotated[int, typer.Option(help="Rotated files that are kept.", min=0)] = 1,
    broken_every: Annotated[
        int, typer.Option(help="Entries, after which some lines follow that are none.", min=1, max=SAMPLE)
    ] = SAMPLE,
) -> None:
    """Write a sample log for ever."""
    write(path, rate=rate, rotation=rotate_at, keep=keep, broken_every=broken_every)


if __name__ == "__main__":
    typer.run(main)
