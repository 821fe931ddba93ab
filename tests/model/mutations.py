"""Bugs to put into the indexer on purpose, one of each kind that the model is there to find."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from indexer.writing.replay import Backing

from indexer.events import Recognition
from indexer.pipeline import Pipeline
from indexer.reading import identity, log, orphans
from indexer.reading.entries import Entries, entries_of
from indexer.reading.files import FileFacts
from indexer.reading.identity import FileRecord
from indexer.reading.lines import Lines
from indexer.reading.log import Log, Mark, Run
from indexer.reading.tail import Tail
from indexer.writing import bulk
from indexer.writing.answers import Answer
from indexer.writing.batches import EMPTY, Body, SentBefore
from indexer.writing.bulk import Outcome, Sender, Undelivered
from indexer.writing.rejects import Rejects

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]


def checkpoint_before_acknowledgement(patch: Patch) -> None:
    """What is read counts as delivered."""
    original = Log.remembered

    def remembered(self: Log, since: str | None) -> FileRecord | None:
        record = original(self, since)
        return record and replace(record, offset=self._splitter.start, tail=self._tail)

    patch.setattr(Log, "remembered", remembered)


def acknowledgement_out_of_order(patch: Patch) -> None:
    """A batch is acknowledged although an older one is still on its way."""
    original = Pipeline._settle

    def settle(self: Pipeline) -> None:
        done = [shipment for shipment in self._under_way if shipment.done.is_set()]
        waiting = [shipment for shipment in self._under_way if not shipment.done.is_set()]
        self._under_way.clear()
        self._under_way.extend(done + waiting)
        original(self)

    patch.setattr(Pipeline, "_settle", settle)


def unterminated_line_is_done_with(patch: Patch) -> None:
    """The offset after a last line without line end is stored."""
    original = Log.finish

    def finish(self: Log) -> Run | None:
        run = original(self)
        return run and replace(run, mark=replace(run.mark, end=self.position))

    patch.setattr(Log, "finish", finish)


def sending_is_not_written_down(patch: Patch) -> None:
    """The checkpoint does not say that more is sent than is delivered."""
    original = Log.remembered

    def remembered(self: Log, since: str | None) -> FileRecord | None:
        record = original(self, since)
        return record and replace(record, reach=record.offset)

    patch.setattr(Log, "remembered", remembered)


def stop_forgets_what_is_on_its_way(patch: Patch) -> None:
    """A stop takes everything for answered."""
    original = Pipeline._drain

    def drain(self: Pipeline) -> None:
        original(self)
        self._tail.nothing_sent_ahead()

    patch.setattr(Pipeline, "_drain", drain)


def nothing_is_asked_before_sending_again(patch: Patch) -> None:
    """What an earlier process may have sent is sent without a question."""
    patch.setattr(Mark, "asks", property(lambda _self: False))


def only_the_write_index_is_asked(patch: Patch) -> None:
    """Older indices are taken to hold nothing."""
    patch.setattr(Backing, "may_hold", lambda _self, _since: [])


def asking_starts_too_late(patch: Patch) -> None:
    """What is on its way is taken to have been sent when the newest index was the write index."""
    original = Tail.records

    def records(self: Tail, since: str | None) -> list[FileRecord]:
        assert since is not None
        return original(self, f"{since[:-6]}{int(since[-6:]) + 1:06}")

    patch.setattr(Tail, "records", records)


def rollover_between_question_and_sending(patch: Patch) -> None:
    """What was not found is sent to the alias, not to the index that was the write index when that was asked."""
    original = Sender._leave_out_delivered

    def leave_out(self: Sender, body: Body, before: SentBefore, outcome: Outcome) -> tuple[Body, str]:
        return original(self, body, before, outcome)[0], self._alias

    patch.setattr(Sender, "_leave_out_delivered", leave_out)


def lost_answer_is_good_news(patch: Patch) -> None:
    """No answer is taken for success."""
    original = bulk.post

    def post(client: Any, body: Body, index: str, *, alias: bool) -> Answer:
        try:
            return original(client, body, index, alias=alias)
        except Undelivered:
            return Answer(index)

    patch.setattr(bulk, "post", post)


def busy_items_are_dropped(patch: Patch) -> None:
    """Items answered with 429 are not sent again."""
    original = Sender._tally

    def tally(self: Sender, answer: Answer, body: Body, outcome: Outcome) -> Any:
        _, *rest = original(self, answer, body, outcome)
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
    patch.setattr(Rejects, "keep", lambda _self, _rejections: None)


def twins_share_their_ids(patch: Patch) -> None:
    """Files that begin alike are not told apart by number."""
    original = identity.fresh
    patch.setattr(identity, "fresh", lambda facts, head, _twin=0: original(facts, head))


def last_bytes_are_not_compared(patch: Patch) -> None:
    """A file with the first line of a known one is that one."""
    patch.setattr(identity, "reads_like", identity.starts_like)


def first_line_is_not_compared(patch: Patch) -> None:
    """A file with the last bytes of a known one, where they were, is that one."""
    patch.setattr(identity, "starts_like", lambda _window, _record: True)


def truncation_is_not_noticed(patch: Patch) -> None:
    """A log that is followed is read on, whatever it holds now."""

    def read_on(self: Log, size: int) -> bytes:
        return self.window.read_at(self.position, size)

    patch.setattr(Log, "_read_on", read_on)


def inode_is_identity(patch: Patch) -> None:
    """A file with the inode of a known one is that one."""
    original = identity.recognise

    def recognise(facts: FileFacts, window: Any, head: bytes, known: Sequence[Any]) -> Any:
        same = [record for record, _ in known if record.key == facts.key]
        if same:
            return identity.Judgement(Recognition.RESUMED, same[0].followed_at(facts))
        return original(facts, window, head, known)

    patch.setattr(identity, "recognise", recognise)


def copy_is_a_file_of_its_own(patch: Patch) -> None:
    """What holds the same as another file is delivered as well."""
    patch.setattr(identity, "_compare", lambda _window, _other: Recognition.TWIN)


def vanished_file_is_forgotten_at_once(patch: Patch) -> None:
    """Nothing can go on where a file was that is not there any more."""
    patch.setattr(orphans, "CLAIMABLE", 0.0)


def _with_ids(patch: Patch, change: Callable[[bytes], bytes]) -> None:
    def changed(lines: Lines, generation: int, file: str) -> Entries:
        found = entries_of(lines, generation, file)
        rejections = [replace(one, id=change(one.id.encode()).decode()) for one in found.rejections]
        return replace(found, ids=[change(one) for one in found.ids], rejections=rejections)

    patch.setattr(log, "entries_of", changed)


def ids_without_offset(patch: Patch) -> None:
    """The same line twice is one entry."""
    _with_ids(patch, lambda one: one[:8] + b"0" * 12 + one[20:])


def ids_with_inode(patch: Patch) -> None:
    """An id depends on when a file was read, not on what it holds."""
    opened: dict[int, int] = {}
    original = Log.begin

    def begin(self: Log, record: FileRecord) -> None:
        opened[record.generation] = self.window.status().st_ino
        original(self, record)

    patch.setattr(Log, "begin", begin)
    _with_ids(patch, lambda one: one[:20] + b"%08x" % zlib.crc32(one[20:], opened[int(one[:8], 16)]))
