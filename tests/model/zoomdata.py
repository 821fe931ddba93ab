"""A server that writes logs and rotates them in every way, and remembers what it wrote: the model's side of the files.

Each write and each rename stamps times from the stage's clock, and no inode is used again but on purpose: the same steps
give the same files.
"""

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.model.stage import EPOCH

LOG = "zoomdata-activity.log"
SECOND = "query-engine-activity.log"


@dataclass(eq=False)
class Content:
    """What one file held from its first byte until it was truncated."""

    data: bytearray = field(default_factory=bytearray)
    lost: set[int] = field(default_factory=set)
    """Offsets of lines of which every copy was destroyed; they may have been read before, or not."""
    tails: set[tuple[int, bytes]] = field(default_factory=set)
    """Offsets of last lines that had no line end when the file could be taken for final, with their bytes."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each complete line with its offset."""
        offset = 0
        for line in self.data.split(b"\n")[:-1]:
            yield offset, bytes(line)
            offset += len(line) + 1

    def tail(self, length: int | None = None) -> tuple[int, bytes]:
        """What comes after the last line end."""
        data = self.data[:length]
        offset = data.rfind(b"\n") + 1
        return offset, bytes(data[offset:])

    def note_tail(self, length: int | None = None) -> None:
        """The file may be taken for final as it is now."""
        offset, tail = self.tail(length)
        if tail:
            self.tails.add((offset, tail))


@dataclass(eq=False)
class Place:
    """A file: the log itself (`length` None: it grows with its content) or a copy of its first bytes."""

    path: Path
    content: Content
    length: int | None = None
    whole: bool = True
    """Not an archive that is still being written."""

    @property
    def inode(self) -> int:
        """Its inode; none is given to another file while this one lies in the cellar."""
        return self.path.stat().st_ino

    @property
    def packed(self) -> bool:
        """It is an archive."""
        return self.path.suffix == ".gz"

    @property
    def reach(self) -> int:
        """How many bytes of the content can be read here."""
        if not self.whole:
            return 0
        return len(self.content.data) if self.length is None else self.length

    @property
    def live(self) -> bool:
        """It is being written."""
        return self.length is None and self.path.name in {LOG, SECOND}


class Zoomdata:
    """All logs of one server."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self.logs, self.archive, self.elsewhere, self._cellar = (
            directory / name for name in ("logs", "archive", "elsewhere", "cellar")
        )
        self.places: list[Place] = []
        self.deleted: list[Place] = []
        """Names that are gone; their bytes may still be held open."""
        self.contents: list[Content] = []
        self._clock = clock
        self._ticks = 0
        self._number = 0
        for path in (self.logs, self.archive, self.elsewhere, self._cellar):
            path.mkdir()
            self._stamp(path)

    @property
    def watched(self) -> list[Path]:
        """The directories that are followed."""
        return [self.logs, self.archive]

    # ---- writing

    def live(self, name: str) -> Place:
        """The log of this name; begun, if there is none."""
        path = self.logs / name
        return next((place for place in self.places if place.path == path), None) or self._begin(path)

    def write(self, place: Place, data: bytes) -> None:
        """Append, as a server does that keeps its log open."""
        with place.path.open("ab") as file:
            file.write(data)
        place.content.data += data
        if not place.live:
            place.content.note_tail()
        self._stamp(place.path)

    def begin_with_inode_of(self, old: Place, name: str) -> None:
        """Begin a new log that happens to be given the inode of a deleted one."""
        self.deleted.remove(old)
        os.truncate(old.path, 0)
        self._move(old.path, self.logs / name)
        self._add(self.logs / name, Content())

    # ---- rotating

    def rename(self, place: Place, directory: Path | None = None) -> Place:
        """Rename or move a file, if its place is free; a log is no longer live then."""
        name = f"{place.path.name}.{self._next()}" if place.live else place.path.name
        path = (directory or place.path.parent) / name
        if path.exists():  # nothing is overwritten
            return place
        self._move(place.path, path)
        place.path = path
        if place.whole:
            place.content.note_tail(place.length)
        return place

    def copy(self, place: Place) -> Place:
        """Copy a live log under a rotated name, as the first half of copy-truncate."""
        path = self.logs / f"{place.path.name}.{self._next()}"
        shutil.copyfile(place.path, path)
        place.content.note_tail()
        return self._add(path, place.content, len(place.content.data))

    def truncate(self, place: Place) -> None:
        """Cut a live log to nothing."""
        os.truncate(place.path, 0)
        self._stamp(place.path)
        place.content = Content()
        self.contents.append(place.content)

    def delete(self, place: Place) -> None:
        """Take a file's name away."""
        self.places.remove(place)
        if place.whole:
            place.content.note_tail(place.length)
        path = self._cellar / f"{self._next()}"
        self._move(place.path, path)
        place.path = path
        self.deleted.append(place)

    def pack(self, place: Place) -> None:
        """Begin to write an archive of a rotated log."""
        path = place.path.with_name(place.path.name + ".gz")
        packed = gzip.compress(place.content.data[: place.reach], mtime=0)
        path.write_bytes(packed[: len(packed) // 2])
        place.content.note_tail(place.reach)
        self._add(path, place.content, place.reach).whole = False

    def finish_packing(self, archive: Place) -> None:
        """Write the rest of the archive, and delete the log."""
        archive.path.write_bytes(gzip.compress(archive.content.data[: archive.length], mtime=0))
        archive.whole = True
        self._stamp(archive.path)
        plain = [place for place in self.places if place.path == archive.path.with_suffix("")]
        for place in plain:
            self.delete(place)

    # ---- what can still be read

    def note_lost(self, opened: set[int]) -> None:
        """Mark the lines that no file holds any more, be it by name or through a descriptor of these inodes."""
        reach = dict.fromkeys(self.contents, 0)
        for place in self.places + self.deleted:
            if place.path.parent in self.watched or place.inode in opened:
                reach[place.content] = max(reach[place.content], place.reach)
        for content, length in reach.items():
            if length < len(content.data):
                content.lost |= {start for start, line in content.lines() if start + len(line) + 1 > length}

    # ---- inside

    def _begin(self, path: Path) -> Place:
        path.touch()
        return self._add(path, Content())

    def _add(self, path: Path, content: Content, length: int | None = None) -> Place:
        if content not in self.contents:
            self.contents.append(content)
        place = Place(path, content, length)
        self.places.append(place)
        self._stamp(path)
        self._stamp(path.parent)
        return place

    def _move(self, old: Path, new: Path) -> None:
        old.rename(new)
        self._stamp(old.parent)
        self._stamp(new.parent)

    def _stamp(self, path: Path) -> None:
        """Give it the time of the stage, and no other write the same one."""
        self._ticks += 1
        time = int((EPOCH + self._clock()) * 1e9) + self._ticks * 1000
        os.utime(path, ns=(time, time))

    def _next(self) -> int:
        self._number += 1
        return self._number
