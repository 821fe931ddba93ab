"""Writes a sample log at a constant rate and rotates it as Zoomdata does, for trying out a complete system.

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
from indexer.demo.profiles import Profile

PAST = 2_000
"""Entries of the week before the start, written at once."""
PAUSE = 0.05
"""Seconds between writes."""
DEFAULT_ROTATION = 10_000_000
"""Size in bytes at which Zoomdata rotates the file (its documentation, "activity.log.file.size")."""
SAMPLE = 10_000
"""Entries of each sample after the first one."""


def write(
    path: Path,
    *,
    rate: float,
    rotation: int,
    keep: int,
    past: int = PAST,
    broken_every: int = SAMPLE,
    profile: Profile = Profile.COMPOSER,
) -> None:
    """Append `rate` entries a second until stopped; a new log begins with `past` entries at once. Raises OSError.

    rotation       size in bytes at which `path` becomes `path`.1, that one `path`.2, and so on.
    keep           number of rotated files that are kept.
    broken_every   number of entries after which invalid lines follow.
    """
    past = 0 if path.exists() else past
    lines = _lines(past, broken_every, profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    due, started = past, time.monotonic()
    written = 0
    while True:
        with path.open("ab", buffering=0) as log:
            while log.tell() < rotation:
                if written >= due:
                    time.sleep(PAUSE)
                    due = past + int((time.monotonic() - started) * rate)
                    continue
                log.write(next(lines) + b"\n")
                written += 1
        rotate(path, keep)


def rotate(path: Path, keep: int) -> None:
    """Rename the file and the rotated ones to the next number; delete those beyond `keep`."""
    for number in range(keep, 0, -1):
        older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    if keep == 0:
        path.unlink()


def _lines(past: int, broken_every: int, profile: Profile) -> Iterator[bytes]:
    """A sample of the past week, then more samples whose entries have the current time, with invalid lines."""
    started = datetime.now(UTC)
    yield from sample.entries(past, end=started, profile=profile)
    for seed in itertools.count(2):
        following = sample.entries(SAMPLE, end=started, seed=seed, profile=profile)
        for number, line in enumerate(following, 1):
            now = datetime.now(UTC).isoformat(" ", "milliseconds")[:23]
            yield orjson.dumps(orjson.loads(line) | {"eventDate": now})
            if number % broken_every == 0:
                yield from sample.broken()


def main(
    path: Path,
    rate: Annotated[float, typer.Option(help="Entries a second.", min=0)] = 20,
    rotate_at: Annotated[
        int, typer.Option(help="Size of a file in bytes, at which it is rotated.", min=1)
    ] = DEFAULT_ROTATION,
    keep: Annotated[int, typer.Option(help="Number of rotated files to keep.", min=0)] = 1,
    broken_every: Annotated[
        int, typer.Option(help="Number of entries after which invalid lines follow.", min=1, max=SAMPLE)
    ] = SAMPLE,
    profile: Annotated[Profile, typer.Option(help="Whose log it is like.")] = Profile.COMPOSER,
) -> None:
    """Write a sample log until stopped."""
    write(path, rate=rate, rotation=rotate_at, keep=keep, broken_every=broken_every, profile=profile)


if __name__ == "__main__":
    typer.run(main)
