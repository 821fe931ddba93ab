"""Bugs to put into the indexer on purpose, one of each kind that the model is there to find."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from indexer.delivery import Delivery
from indexer.elastic.alias import Address
from indexer.pipeline import Pipeline
from indexer.reading import identity, reader
from indexer.reading.batch import Place, ReadBatch
from indexer.reading.entries import Entries, entries_of
from indexer.reading.holes import QUIET
from indexer.reading.identity import Comparison, FileRecord
from indexer.reading.lines import Lines
from indexer.reading.log import Log
from indexer.reading.reader import LogReader
from indexer.writing import answers, bulk, request, target
from indexer.writing.answers import Answer
from indexer.writing.batches import EMPTY, Body
from indexer.writing.bulk import Outcome, Sender
from indexer.writing.dead_letters import DeadLetterStore
from indexer.writing.request import BulkFailed
from indexer.writing.target import Target

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]

# ---- what a line is


def _with_ids(patch: Patch, change: Callable[[bytes], bytes]) -> None:
    def changed(lines: Lines, generation: int, file: str) -> Entries:
        found = entries_of(lines, generation, file)
        rejections = [replace(one, id=change(one.id.encode()).decode()) for one in found.rejections]
        return replace(found, ids=[change(one) for one in found.ids], rejections=rejections)

    patch.setattr(reader, "entries_of", changed)


def ids_without_offset(patch: Patch) -> None:
    """The same line twice is one entry."""
    _with_ids(patch, lambda one: one[:8] + b"0" * 12 + one[20:])


def ids_with_inode(patch: Patch) -> None:
    """An id depends on which file was read, not on what it holds."""
    opened: dict[int, int] = {}
    original = Log.begin

    def begin(self: Log, record: FileRecord, place: Place) -> None:
        opened[record.generation] = self.source.status().st_ino
        original(self, record, place)

    patch.setattr(Log, "begin", begin)
    _with_ids(patch, lambda one: one[:20] + b"%08x" % zlib.crc32(one[20:], opened.get(int(one[:8], 16), 0)))


# ---- where to go on reading


def bytes_before_are_not_compared(patch: Patch) -> None:
    """The inode and the first line of a known file: that one."""
    patch.setattr(identity, "reads_like", identity.starts_like)


def first_line_is_not_compared(patch: Patch) -> None:
    """The last bytes of a known file, where they were: that one."""
    patch.setattr(identity, "starts_like", lambda _window, _record: True)
    patch.setattr(identity, "begins_like", lambda _head, _record: True)


def inode_is_identity(patch: Patch) -> None:
    """A file with the inode of a known one is that one."""
    patch.setattr(identity, "reads_like", lambda _window, _record: True)
    patch.setattr(identity, "begins_like", lambda _head, _record: True)


def digests_are_not_compared(patch: Patch) -> None:
    """A file with the first line of a known one holds all that that one held."""

    def agrees(self: Comparison, position: int, read: Place) -> None:
        if self.places.pop(position, None) is not None and read.offset == position:
            self.agreed = read

    patch.setattr(Comparison, "check", agrees)


def change_is_not_noticed(patch: Patch) -> None:
    """A log that is followed is read on, whatever it holds now."""
    original = LogReader._next_block

    def read_on(self: LogReader, size: int) -> bytes:
        return original(self, size) if self.source.sequential else self.source.read_at(self.position, size)

    patch.setattr(LogReader, "_next_block", read_on)


def unterminated_line_is_done_with(patch: Patch) -> None:
    """The offset after a last line without line end is stored."""
    original = LogReader.finish

    def finish(self: LogReader) -> ReadBatch | None:
        batch = original(self)
        end = Place(self.position, zlib.crc32(self._recent), None)
        return batch and replace(batch, position=replace(batch.position, end=end))

    patch.setattr(LogReader, "finish", finish)


def quiet_log_is_final(patch: Patch) -> None:
    """A line that is being written is sent when its log is quiet for a while."""
    original = Log.is_final

    def is_final(self: Log, now: float, *, once: bool) -> bool:
        return original(self, now, once=once) or now - self.changed_at >= QUIET

    patch.setattr(Log, "is_final", is_final)


# ---- what is remembered


def checkpoint_before_delivery(patch: Patch) -> None:
    """What is read counts as delivered."""
    original = Log.remembered

    def remembered(self: Log) -> FileRecord | None:
        record, read = original(self), self.reader.read_to
        return record and replace(record, offset=read.offset, tail=read.tail, digest=read.digest)

    patch.setattr(Log, "remembered", remembered)


def acknowledgement_out_of_order(patch: Patch) -> None:
    """A batch is acknowledged although an older one is still in flight."""
    original = Delivery.acknowledge

    def acknowledge(self: Delivery) -> None:
        done = [it for it in self.in_flight if it.done.is_set()]
        waiting = [it for it in self.in_flight if not it.done.is_set()]
        self.in_flight.clear()
        self.in_flight.extend(done + waiting)
        original(self)

    patch.setattr(Delivery, "acknowledge", acknowledge)


def stop_acknowledges_what_is_on_its_way(patch: Patch) -> None:
    """A stop takes everything for answered."""
    original = Pipeline._drain

    def drain(self: Pipeline) -> None:
        original(self)
        for in_flight in self._delivery.in_flight:
            for ticket in in_flight.batch.tickets:
                self._tail.acknowledge(ticket.position)

    patch.setattr(Pipeline, "_drain", drain)


def old_state_is_trusted(patch: Patch) -> None:
    """Whatever is the write index at the start has been so for long, though the state names another one."""
    original = Target.__init__

    def begin(self: Target, *given: Any, **named: Any) -> None:
        cluster, behind, _known = given
        original(self, cluster, behind, behind.write, **named)

    begin.__kwdefaults__ = original.__kwdefaults__
    patch.setattr(Target, "__init__", begin)


# ---- one copy, across indices


def older_indices_are_not_asked(patch: Patch) -> None:
    """Older indices are taken to hold nothing."""
    patch.setattr(Sender, "_leave_out_delivered", lambda _self, body, _indices, _outcome: body)


def no_grace(patch: Patch) -> None:
    """Entries go to a new write index at once."""
    patch.setitem(Target.__init__.__kwdefaults__, "grace", 0.0)  # type: ignore[arg-type]


def alias_is_seldom_looked_at(patch: Patch) -> None:
    """A look holds for longer than the grace of the others."""
    patch.setattr(target, "LOOK_EVERY", 10.0)


def first_look_is_old(patch: Patch) -> None:
    """What was behind the alias when the program began is believed for a second more."""
    original = Target.__init__

    def begin(self: Target, *given: Any, **named: Any) -> None:
        original(self, *given, **named)
        self._look_at = self._clock() + target.LOOK_EVERY

    begin.__kwdefaults__ = original.__kwdefaults__
    patch.setattr(Target, "__init__", begin)


def retry_goes_to_the_write_index(patch: Patch) -> None:
    """A request whose answer was lost is repeated to whatever is the write index by then."""
    original = Sender._aim

    def aim(self: Sender, body: Body, _sent_to: str, outcome: Outcome) -> tuple[Body, str, Address]:
        return original(self, body, "", outcome)

    patch.setattr(Sender, "_aim", aim)


def suspects_forget_where_they_went(patch: Patch) -> None:
    """An entry that is sent by itself goes to whatever is the write index by then."""
    original = bulk.Suspect

    def suspect(*given: Any) -> bulk.Suspect:
        one = original(*given)
        return replace(one, index="")

    patch.setattr(bulk, "Suspect", suspect)


def shut_index_is_waited_for(patch: Patch) -> None:
    """An index that takes nothing any more is tried again and again."""
    patch.setattr(answers, "SHUT", frozenset())


def deleted_index_is_waited_for(patch: Patch) -> None:
    """So is one that is gone."""
    original = Sender._aim

    def aim(self: Sender, body: Body, sent_to: str, outcome: Outcome) -> tuple[Body, str, Address]:
        return (body, sent_to, Address(sent_to)) if sent_to else original(self, body, sent_to, outcome)

    patch.setattr(answers, "SHUT", frozenset({"cluster_block_exception"}))
    patch.setattr(Sender, "_aim", aim)


# ---- what answers mean


def lost_answer_is_good_news(patch: Patch) -> None:
    """No answer is taken for success."""
    original = request.post

    def post(client: Any, body: Body, index: str, *, require_alias: bool) -> Answer:
        try:
            return original(client, body, index, require_alias=require_alias)
        except BulkFailed:
            return Answer(index)

    patch.setattr(bulk, "post", post)


def busy_items_are_dropped(patch: Patch) -> None:
    """Items answered with 429 are not sent again."""
    original = Sender._tally

    def tally(self: Sender, *given: Any) -> Any:
        _, *rest = original(self, *given)
        return EMPTY, None, *rest[1:]

    patch.setattr(Sender, "_tally", tally)


def duplicate_counts_as_created(patch: Patch) -> None:
    """What was there before is counted as new."""
    original = Sender.deliver

    def deliver(self: Sender, batch: Any) -> Any:
        outcome, rejections = original(self, batch)
        outcome.created, outcome.duplicates = outcome.created + outcome.duplicates, 0
        return outcome, rejections

    patch.setattr(Sender, "deliver", deliver)


def rejected_lines_are_not_kept(patch: Patch) -> None:
    """Rejected lines are counted, and gone."""
    patch.setattr(DeadLetterStore, "keep", lambda _self, _rejections: None)
