"""A server that writes logs and rotates them in every way, as steps of a history."""

import re

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.audit import REFUSED
from tests.model.base import Base
from tests.model.subject import LONGEST_LINE
from tests.model.zoomdata import LOG, SECOND, Content, Place

LINES: dict[str, bytes] = {
    "entry": b'{"n":%d}',
    "longer": b'{"n":%d,"payload":"one that is a block long, or nearly so"}',
    "refused": REFUSED + b"%d}",
    "garbage": b"at com.zoomdata.Server(%d)",
    "garbage that no index keeps": b"unkeepable %d",
    "CRLF": b'{"n":%d}\r',
    "BOM": b'\xef\xbb\xbf{"n":%d}',
    "with the time before it": b'2020-01-01 00:00:00.000 {"n":%d}',
    "too long": b'{"n":%d,"payload":"' + b"x" * LONGEST_LINE + b'"}',
}


class Logs(Base):
    """What becomes of the files."""

    # ---- a server that writes

    @rule(
        name=st.sampled_from([LOG, LOG, SECOND]),
        kinds=st.lists(
            st.sampled_from([*LINES, "entry", "entry", "blank", "repeated"]), min_size=1, max_size=8
        ),
    )
    def append(self, name: str, kinds: list[str]) -> None:
        """Write some lines, after the rest of one."""
        place = self._writable(name)
        rest = self.halves.pop(place.content, b"")
        self._write(place, rest + b"".join(self._line(kind) for kind in kinds))

    @rule(
        size=st.integers(min_value=1, max_value=9),
        kind=st.sampled_from(["entry", "longer", "CRLF", "BOM", "too long"]),
    )
    def append_half(self, size: int, kind: str) -> None:
        """Write the beginning of a line."""
        place = self._writable(LOG)
        if place.content not in self.halves:
            line = self._line(kind)
            self._write(place, line[:size])
            self.halves[place.content] = line[size:]

    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        """Write the rest of a line, be the log rotated since or not."""
        halves = [
            place for place in self.zoomdata.places if place.length is None and place.content in self.halves
        ]
        if halves and not self.copied:
            self.write_rest(data.draw(st.sampled_from(halves), "log"))

    def write_rest(self, place: Place) -> None:
        """Write what is missing of its last line."""
        self._write(place, self.halves.pop(place.content))

    def _writable(self, name: str) -> Place:
        """The log of this name; truncated, if it was copied."""
        if name == LOG and self.live and self.copied:
            self.truncate(copied=False, missed=[], longer=False)
        return self.zoomdata.live(name)

    def _write(self, place: Place, data: bytes) -> None:
        self.zoomdata.write(place, data)

    def _line(self, kind: str) -> bytes:
        if kind == "blank":
            return b"\n"
        if kind != "repeated":
            self.last = LINES[kind] % self._next()
        return self.last + b"\n"

    def _next(self) -> int:
        self.number += 1
        return self.number

    # ---- that rotates

    @precondition(lambda self: self.live and not self.copied)
    @rule(times=st.sampled_from([1, 1, 1, 3]), again=st.sampled_from(["no", "yes", "alike"]))
    def rename(self, times: int, again: str) -> None:
        """Rotate by renaming; perhaps several times at once, perhaps without a new log yet."""
        for _ in range(times):
            first = next(self.zoomdata.live(LOG).content.lines(), (0, b""))[1]
            self.zoomdata.rename(self.zoomdata.live(LOG))
            if again == "alike" and first and not self.forgot:
                self._write(self.zoomdata.live(LOG), first + b"\n")
            if again != "no" or times > 1:
                self.append(LOG, ["entry"])

    @precondition(lambda self: self.live and not self.copied)
    @rule()
    def rename_and_delete(self) -> None:
        """Rotate and delete at once: a descriptor is all that is left."""
        self.zoomdata.delete(self.zoomdata.rename(self.zoomdata.live(LOG)))

    @precondition(lambda self: self.live and not self.copied)
    @rule()
    def copy(self) -> None:
        """Begin to copy and truncate."""
        place = self.zoomdata.live(LOG)
        if self._is_remembered(place.content):
            self.zoomdata.copy(place)

    @precondition(lambda self: self.live)
    @rule(
        copied=st.booleans(),
        missed=st.lists(st.sampled_from(["entry", "longer"]), max_size=2),
        longer=st.booleans(),
    )
    def truncate(self, copied: bool, missed: list[str], longer: bool) -> None:  # noqa: FBT001 - drawn
        """Truncate the log, perhaps after copying it; perhaps it is longer than before when next seen.

        What is written between the copy and the truncation is lost: so it is with logrotate.
        """
        place = self.zoomdata.live(LOG)
        size = len(place.content.data)
        if copied and size and not self.copied and self._is_remembered(place.content):
            self.zoomdata.copy(place)
        self._write(place, b"".join(self._line(kind) for kind in missed))
        self.halves.pop(place.content, None)
        self.zoomdata.truncate(place)
        while longer and len(place.content.data) <= size:
            self.append(LOG, ["entry", "longer"])

    @precondition(lambda self: not self.forgot)
    @rule(first=st.booleans(), died=st.booleans())
    def write_anew(self, first: bool, died: bool) -> None:  # noqa: FBT001 - drawn
        """Truncate, and write what looks like what was there: its first line, or lines that end and lie as they did."""
        self.append(LOG, ["longer"])
        place = self.zoomdata.live(LOG)
        if self.subject.runs:
            self._catch_up()
            if died:
                self.stage.now += 1.5  # until it is remembered, too
                self._catch_up()
                self.kill(again=False)
        before = bytes(place.content.data)
        self.zoomdata.truncate(place)
        if first or b'"n":' not in before.split(b"\n")[0]:
            others = b"".join(self._line("entry") for _ in range(len(before) // 10 + 1))
            self._write(place, before.split(b"\n")[0] + b"\n" + others)
        else:
            self._write(
                place, re.sub(rb'(?<="n":)\d+', lambda _: b"%d" % self._next(), before) + self._line("entry")
            )

    @precondition(lambda self: self.rotated)
    @rule(data=st.data())
    def pack(self, data: st.DataObject) -> None:
        """Begin to compress a rotated log."""
        place = data.draw(st.sampled_from(self.rotated), "log")
        free = not place.packed and not place.path.with_name(place.path.name + ".gz").exists()
        if free and self._is_remembered(place.content):
            self.zoomdata.pack(place)

    @precondition(lambda self: self.unfinished)
    @rule(data=st.data())
    def finish_packing(self, data: st.DataObject) -> None:
        """Finish an archive, and delete the log that is in it."""
        self.zoomdata.finish_packing(data.draw(st.sampled_from(self.unfinished), "archive"))

    @precondition(lambda self: self.in_sight)
    @rule(data=st.data(), directory=st.sampled_from(["archive", "logs", "elsewhere"]))
    def move(self, data: st.DataObject, directory: str) -> None:
        """Move a rotated log to another directory that is followed, or for good out of sight."""
        place = data.draw(st.sampled_from(self.in_sight), "log")
        self.zoomdata.rename(place, getattr(self.zoomdata, directory))

    @precondition(lambda self: self.in_sight and self.subject.runs)
    @rule(data=st.data())
    def move_there_and_back(self, data: st.DataObject) -> None:
        """Move a rotated log out of sight, and back before it is forgotten."""
        self.take_away_and_back(data.draw(st.sampled_from(self.in_sight), "log"))

    def take_away_and_back(self, place: Place) -> None:
        """Let the indexer look on while a log is out of sight."""
        directory = place.path.parent
        self.zoomdata.rename(place, self.zoomdata.elsewhere)
        for seconds in (1.5, 6.0, 1.5):
            self.note_lost()
            self._catch_up()
            self.stage.now += seconds
        self._catch_up()
        self.zoomdata.rename(place, directory)

    @precondition(lambda self: self.rotated)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete a rotated log."""
        self.zoomdata.delete(data.draw(st.sampled_from(self.rotated), "log"))

    @precondition(lambda self: not self.live)
    @rule(data=st.data())
    def begin_with_used_inode(self, data: st.DataObject) -> None:
        """Begin a new log with the inode of a deleted one that no one holds open."""
        opened = self.subject.opened
        free = [place for place in self.zoomdata.deleted if place.inode not in opened]
        if free:
            self.zoomdata.begin_with_inode_of(data.draw(st.sampled_from(free), "deleted log"), LOG)
            self.append(LOG, ["entry"])

    @precondition(lambda self: not self.live and not self.forgot)
    @rule(data=st.data(), further=st.booleans())
    def begin_like_another(self, data: st.DataObject, further: bool) -> None:  # noqa: FBT001 - drawn
        """Begin a new log with the first line of another one."""
        first = [next(content.lines(), (0, b""))[1] for content in self.zoomdata.contents]
        known = [line for line in first if line]
        if known:
            self._write(self.zoomdata.live(LOG), data.draw(st.sampled_from(known), "first line") + b"\n")
            if further:
                self.append(LOG, ["entry"])

    def _is_remembered(self, content: Content) -> bool:
        """The checkpoint tells a file from others by more than its first line, if it has to.

        Two that begin alike, of which nothing is delivered yet, can be told apart by their inodes alone.
        """
        first = content.data.split(b"\n")[0]
        if sum(other.data.split(b"\n")[0] == first for other in self.zoomdata.contents) > 1:
            if not self.subject.runs:
                return False
            self._catch_up()
            self.stage.now += 1.5
            self._catch_up()
        return True
