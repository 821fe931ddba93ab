"""Log files that are written, rotated, rewritten, shrunk and restored, as steps of a history."""

from collections.abc import Sequence

from tests.model.audit import REFUSED
from tests.model.base import Base
from tests.model.disk import LOG, SECOND, File
from tests.model.history import MAYBE, one, some, step
from tests.model.stage import oldest_first
from tests.model.subject import LONGEST_LINE

LINES: dict[str, bytes] = {
    "entry": b'{"n":%d}',
    "longer": b'{"n":%d,"payload":"one that is a block long, or nearly so"}',
    "refused": REFUSED + b"%d}",
    "garbage": b"at com.zoomdata.Server(%d)",
    "garbage that no index keeps": b"unkeepable %d",
    "CRLF": b'{"n":%d}\r',
    "BOM": b'\xef\xbb\xbf{"n":%d}',
    "with the time before it": b'2020-01-01 00:00:00.000 {"n":%d}',
    "too long": b'{"n":%d,"payload":"' + b",".join(b"%d" % n for n in range(LONGEST_LINE // 3)) + b'"}',
}
ANY = one(*range(10))
"""Chooses one of several."""
STEPS = one(0, 0, 1, 3)
"""Turns that the indexers have meanwhile."""


class Logs(Base):
    """What becomes of the files."""

    def __init__(self) -> None:
        super().__init__()
        self.lines_written = 100  # as wide as all that follow
        self.last = b"{}"
        self.backups: list[bytes] = []
        """What logs have held."""

    # ---- a server that writes

    @step(
        8,
        name=one(LOG, LOG, SECOND),
        kinds=some(1, 8, *LINES, "entry", "entry", "blank", "repeated"),
    )
    def append(self, name: str = LOG, kinds: tuple[str, ...] | list[str] = ("entry",)) -> None:
        """Write some lines, after the rest of one."""
        file = self.disk.live(name)
        rest, file.rest = file.rest, b""
        self.disk.append(file, rest + b"".join(self._line(kind) for kind in kinds))

    @step(
        2,
        size=one(*range(1, 10)),
        kind=one("entry", "longer", "CRLF", "BOM", "too long"),
    )
    def append_half(self, size: int, kind: str) -> None:
        """Write the beginning of a line."""
        file = self.disk.live(LOG)
        if not file.rest:
            line = self._line(kind)
            self.disk.append(file, line[:size])
            file.rest = line[size:]

    @step(2, which=ANY)
    def complete(self, which: int = 0) -> None:
        """Write the rest of a line, be the log rotated since or not."""
        file = self._one_of([file for file in self.disk.files if file.rest and not file.packed], which)
        if file:
            rest, file.rest = file.rest, b""
            self.disk.append(file, rest)

    def _line(self, kind: str) -> bytes:
        if kind == "blank":
            return b"\n"
        if kind != "repeated":
            self.lines_written += 1
            self.last = LINES[kind] % self.lines_written
        return self.last + b"\n"

    # ---- that rotates

    @step(3, times=one(1, 1, 1, 3), again=one("no", "yes", "alike"))
    def rename(self, times: int = 1, again: str = "yes") -> None:
        """Rotate by renaming; perhaps several times at once, perhaps without a new log yet."""
        for _ in range(times):
            first = self.disk.live(LOG).first
            self.disk.rename(self.disk.live(LOG))
            if again == "alike" and first:
                self.disk.append(self.disk.live(LOG), first + b"\n")
            if again != "no" or times > 1:
                self.append()

    @step(1)
    def rename_and_delete(self) -> None:
        """Rotate and delete at once: a descriptor is all that is left."""
        self.delete(self.disk.rename(self.disk.live(LOG)))

    @step(2, copied=MAYBE, steps=STEPS, missed=MAYBE, longer=MAYBE)
    def truncate(self, copied: bool, steps: int, missed: bool, longer: bool) -> None:  # noqa: FBT001 - drawn
        """Truncate the log, perhaps after copying it; perhaps it is longer than before when next seen.

        What is written between the copy and the truncation is lost: so it is with logrotate.
        """
        file = self.disk.live(LOG)
        if copied and file.data:
            self.disk.copy(file)
            self._meanwhile(steps)
        if missed:
            self.append()
        size = len(file.data)
        self.disk.cut(file, 0)
        while longer and len(file.data) <= size:
            self.append(LOG, ["entry", "longer"])

    @step(2, which=ANY)
    def pack(self, which: int = 0) -> None:
        """Begin to compress a rotated log."""
        file = self._one_of(self.rotated, which)
        if (
            file
            and not file.packed
            and not file.rest
            and not file.path.with_name(file.path.name + ".gz").exists()
        ):
            self.disk.pack(file)

    @step(2, which=ANY)
    def finish_packing(self, which: int = 0) -> None:
        """Finish an archive, and delete the log that is in it."""
        archive = self._one_of(self.unfinished, which)
        if archive:
            self.disk.finish_packing(archive)

    @step(1, which=ANY, directory=one("archive", "logs", "elsewhere"))
    def move(self, which: int, directory: str) -> None:
        """Move a rotated log to another directory that is followed, or out of sight."""
        file = self._one_of(self.rotated, which)
        if file:
            self.disk.rename(file, getattr(self.disk, directory))

    @step(1, which=ANY)
    def bring_back(self, which: int) -> None:
        """Move a log back that was out of sight."""
        away = [file for file in self.disk.files if file.path.parent == self.disk.elsewhere]
        file = self._one_of(away, which)
        if file:
            self.disk.rename(file, self.disk.logs)

    @step(1, which=ANY)
    def delete_rotated(self, which: int) -> None:
        """Delete a rotated log."""
        file = self._one_of(self.rotated, which)
        if file:
            self.delete(file)

    @step(1, which=ANY)
    def begin_with_used_inode(self, which: int) -> None:
        """Begin a new log with the inode of a deleted one that no one holds open."""
        if not any(file.path.name == LOG for file in self.disk.files):
            opened = set().union(*(subject.opened for subject in self.subjects))
            free = [file for file in self.disk.deleted if file.inode not in opened]
            if free:
                self.disk.begin_with_inode_of(free[which % len(free)], LOG)
                self.append()

    @step(2, which=ANY, further=MAYBE)
    def begin_like_another(self, which: int, further: bool) -> None:  # noqa: FBT001 - drawn
        """Begin a new log with the first line of another one."""
        known = [file.first for file in self.disk.files if file.first]
        if known and not self.disk.live(LOG).data:
            self.disk.append(self.disk.live(LOG), known[which % len(known)] + b"\n")
            if further:
                self.append()

    # ---- that is rewritten, shrunk, and restored

    @step(2, which=ANY, size=one(1, 1, 5, 15, 60), steps=STEPS, again=MAYBE)
    def shrink(self, which: int, size: int, steps: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """Take some bytes off a log's end; perhaps they are written again."""
        file = self._plain(which)
        if file:
            last = file.data[-size:]
            self.disk.cut(file, max(0, len(file.data) - size))
            self._meanwhile(steps)
            if again:
                self.disk.append(file, last)

    @step(2, which=ANY, how=one("over", "cut", "replaced"), cut=ANY, steps=STEPS)
    def write_itself(self, which: int, how: str, cut: int, steps: int) -> None:
        """Write its own bytes into a log again, or put a copy in its place."""
        file = self._plain(which)
        if file:
            self._put(file, file.data, how, cut, steps)

    @step(2, which=ANY, line=ANY, how=one("over", "cut", "replaced"), longer=MAYBE)
    def edit(self, which: int, line: int, how: str, longer: bool) -> None:  # noqa: FBT001 - drawn
        """Change a line in the middle: in the file itself, or as `sed -i` does.

        In a file that keeps its size a change is not noticed, unless it is right before the end.
        """
        file = self._plain(which)
        if file and file.data:
            lines = file.data.split(b"\n")
            at = line % len(lines)
            if at != len(lines) - 1 or lines[at]:
                lines[at] = (
                    b'{"edited":%d}' % self._next() if longer or how != "replaced" else lines[at][::-1]
                )
            data = b"\n".join(lines)
            if how == "replaced" or len(data) != len(file.data):
                self._put(file, data, how, 0, 0)

    @step(2, which=ANY)
    def back_up(self, which: int = 0) -> None:
        """Keep what a log holds now."""
        file = self._plain(which)
        if file:
            self.backups.append(file.data)

    @step(3, which=ANY, backup=ANY, how=one("over", "cut", "replaced", "beside"), cut=ANY, steps=STEPS)
    def restore(self, which: int, backup: int, how: str, cut: int = 0, steps: int = 0) -> None:
        """Let a log hold what it, or another one, once held; or put that beside it."""
        if not self.backups:
            return
        data = self.backups[backup % len(self.backups)]
        file = self._plain(which)
        if how == "beside" or file is None:
            self.disk.create(self.disk.logs / f"{LOG}.{self.disk.number()}", data)
        else:
            self._put(file, data, how, cut, steps)

    def _put(self, file: File, data: bytes, how: str, cut: int, steps: int) -> None:
        """Let a file hold something else: all at once, or in two parts after it was emptied."""
        if how == "replaced":
            path = file.path
            self.delete(file)
            self.disk.create(path, data)
        elif how == "over":
            self.disk.overwrite(file, 0, data)
        else:
            part = len(data) * cut // 10
            self.disk.cut(file, 0)
            self.disk.append(file, data[:part])
            self._meanwhile(steps)
            self.disk.append(file, data[part:])

    def _plain(self, which: int) -> File | None:
        """A file in sight that is no archive; mostly the log being written."""
        plain = [file for file in self.disk.in_sight if not file.packed]
        plain.sort(key=lambda file: file.path.name != LOG)
        return plain[max(0, which - 5) % len(plain)] if plain else None

    @staticmethod
    def _one_of(files: Sequence[File], which: int) -> File | None:
        return files[which % len(files)] if files else None

    def _meanwhile(self, steps: int) -> None:
        """Let the indexers have some turns."""
        if steps:
            self.stage.run(lambda: False, oldest_first, steps)
            self.stage.elapse(1.0, oldest_first)

    def _next(self) -> int:
        self.lines_written += 1
        return self.lines_written
