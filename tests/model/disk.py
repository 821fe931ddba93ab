"""Log files that are written, rotated, rewritten and restored in every way, and what they have held: the model's side of them.

Each change stamps times from the stage's clock, and no inode is used again but on purpose: the same steps give the same
files.
"""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.model.stage import EPOCH

LOG = "zoomdata-activity.log"
SECOND = "query-engine-activity.log"


@dataclass(eq=False)
class File:
    """A file, under whatever name; a deleted one lies in the cellar."""

    path: Path
    data: bytes = b""
    """What it holds, decompressed."""
    rest: bytes = b""
    """What is missing of its last line."""
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
    def live(self) -> bool:
        """It has the name of a log that is written."""
        return self.path.name in {LOG, SECOND}

    @property
    def first(self) -> bytes:
        """Its first line, without line end; empty if it has none yet."""
        return self.data.partition(b"\n")[0] if b"\n" in self.data else b""


class Disk:
    """All files of one server."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], note: Callable[[bytes, bool], None]
    ) -> None:
        """`note` is told what a file holds, and whether it may be taken for final."""
        self.logs, self.archive, self.elsewhere, self._cellar = (
            directory / name for name in ("logs", "archive", "elsewhere", "cellar")
        )
        self.files: list[File] = []
        self.deleted: list[File] = []
        """Names that are gone; their bytes may still be held open."""
        self.all_final = False
        """Somebody takes all files for final."""
        self._clock = clock
        self._note = note
        self._ticks = 0
        self._number = 0
        for path in (self.logs, self.archive, self.elsewhere, self._cellar):
            path.mkdir()
            self._stamp(path)

    @property
    def watched(self) -> list[Path]:
        """The directories that are followed."""
        return [self.logs, self.archive]

    @property
    def in_sight(self) -> list[File]:
        """The files in them."""
        return [file for file in self.files if file.path.parent in self.watched]

    # ---- writing

    def live(self, name: str) -> File:
        """The log of this name; begun, if there is none."""
        path = self.logs / name
        return next((file for file in self.files if file.path == path), None) or self._begin(path)

    def append(self, file: File, data: bytes) -> None:
        """Write at its end, as a server does that keeps its log open."""
        with file.path.open("ab") as opened:
            opened.write(data)
        file.data += data
        self._changed(file)

    def cut(self, file: File, size: int) -> None:
        """Cut it to a size."""
        os.truncate(file.path, size)
        file.data = file.data[:size]
        file.rest = b""
        self._changed(file)

    def overwrite(self, file: File, start: int, data: bytes) -> None:
        """Write into it from a place on, and let it end there."""
        with file.path.open("r+b") as opened:
            opened.seek(start)
            opened.write(data)
            opened.truncate()
        file.data = file.data[:start] + data
        file.rest = b""
        self._changed(file)

    def replace(self, file: File, data: bytes) -> None:
        """Put another file in its place, as an editor or `sed -i` does."""
        path = file.path
        self.delete(file)
        self.create(path, data)

    def create(self, path: Path, data: bytes) -> File:
        """Make a new file that holds something at once."""
        hidden = path.with_name(".new")
        hidden.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        file = File(path, data)
        self._stamp(hidden)
        self._move(hidden, path)
        self.files.append(file)
        self.note(file)
        return file

    def begin_with_inode_of(self, old: File, name: str) -> File:
        """Begin a new log that happens to be given the inode of a deleted one."""
        self.deleted.remove(old)
        os.truncate(old.path, 0)
        self._move(old.path, self.logs / name)
        return self._add(self.logs / name)

    # ---- rotating

    def rename(self, file: File, directory: Path | None = None) -> File:
        """Rename or move a file, if its place is free; a log is no longer live then."""
        name = f"{file.path.name}.{self.number()}" if file.live else file.path.name
        path = (directory or file.path.parent) / name
        if path.exists():  # nothing is overwritten
            return file
        self._move(file.path, path)
        file.path = path
        self.note(file)
        return file

    def copy(self, file: File) -> File:
        """Copy a log under a rotated name."""
        return self.create(self.logs / f"{LOG}.{self.number()}", file.data)

    def delete(self, file: File) -> None:
        """Take a file's name away."""
        self.files.remove(file)
        path = self._cellar / f"{LOG}.{self.number()}"
        self._move(file.path, path)
        file.path = path
        self.note(file)
        self.deleted.append(file)

    def pack(self, file: File) -> None:
        """Begin to write an archive of a rotated log."""
        path = file.path.with_name(file.path.name + ".gz")
        packed = gzip.compress(file.data, mtime=0)
        path.write_bytes(packed[: len(packed) // 2])
        archive = self._add(path)
        archive.whole, archive.data = False, file.data

    def finish_packing(self, archive: File) -> None:
        """Write the rest of the archive, and delete the log that is in it."""
        archive.path.write_bytes(gzip.compress(archive.data, mtime=0))
        archive.whole = True
        self._changed(archive)
        for file in [file for file in self.files if file.path == archive.path.with_suffix("")]:
            if file.data == archive.data:
                self.delete(file)

    # ---- inside

    def note(self, file: File) -> None:
        """Tell what it holds now."""
        self._note(file.data, self.all_final or not file.live)

    def take_all_for_final(self) -> None:
        """Somebody reads all there is, and no more."""
        self.all_final = True
        for file in self.files:
            self.note(file)

    def number(self) -> int:
        """Another one each time."""
        self._number += 1
        return self._number

    def _begin(self, path: Path) -> File:
        path.touch()
        return self._add(path)

    def _add(self, path: Path) -> File:
        file = File(path)
        self.files.append(file)
        self._stamp(path)
        self._stamp(path.parent)
        return file

    def _changed(self, file: File) -> None:
        self._stamp(file.path)
        self.note(file)

    def _move(self, old: Path, new: Path) -> None:
        old.rename(new)
        self._stamp(old.parent)
        self._stamp(new.parent)

    def _stamp(self, path: Path) -> None:
        """Give it the time of the stage, and no other write the same one."""
        self._ticks += 1
        time = int((EPOCH + self._clock()) * 1e9) + self._ticks * 1000
        os.utime(path, ns=(time, time))
