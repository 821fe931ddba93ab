"""What is said of what happens: a fault once, then counted, then that it is over."""

import contextlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from indexer.events import Broadcast, Events, Fault, Progress, Recognition, Totals
from indexer.monitoring import Logs, logger
from indexer.monitoring.logs import REPEAT_EVERY
from indexer.monitoring.recorder import MetricsRecorder
from tests.support.observed import Heard

Said = dict[str, Any]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_look: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        """The time."""
        self.on_look()
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at its beginning."""
    return Clock()


@pytest.fixture
def said() -> list[Said]:
    """What was said, in order."""
    return []


@pytest.fixture
def logs(said: list[Said], clock: Clock) -> Logs:
    """A listener that says to a list."""

    def keep(_logger: Any, method: str, event: Any) -> str:
        said.append({"level": method, **event})
        raise structlog.DropEvent

    return Logs(structlog.wrap_logger(None, [keep], structlog.make_filtering_bound_logger("info")), clock)


NOWHERE = Progress((), 0, 0, 0.0, Totals())


def fail(logs: Logs, times: int = 1, fault: Fault = Fault.NO_ANSWER) -> None:
    for _ in range(times):
        logs.delivery_failed(fault, "Connection refused", 1.0)


def test_a_fault_is_said_once_then_counted(logs: Logs, said: list[Said], clock: Clock) -> None:
    """The first time it is said at once, then not for a minute, then with how often it was."""
    fail(logs, 10)
    clock.now = REPEAT_EVERY - 1
    fail(logs)
    assert said == [
        {
            "level": "warning",
            "event": "delivery failed, retrying",
            "fault": "no_answer",
            "detail": "Connection refused",
        }
    ]
    clock.now = REPEAT_EVERY
    fail(logs, 5)
    assert [line.get("times") for line in said] == [None, 12]
    clock.now = 2 * REPEAT_EVERY
    fail(logs)
    assert [line.get("times") for line in said] == [None, 12, 17]


def test_the_end_of_a_fault_is_said_with_its_count(logs: Logs, said: list[Said], clock: Clock) -> None:
    """When it is over that is said, once, with how long it lasted; the next fault is a new one."""
    fail(logs, 3)
    clock.now = 12.0
    fail(logs, 2, Fault.SERVER_ERROR)
    clock.now = 192.0
    logs.delivery_recovered()
    logs.delivery_recovered()
    assert [line["event"] for line in said] == ["delivery failed, retrying"] * 2 + ["delivery recovered"]
    assert (said[-1]["times"], said[-1]["lasted_seconds"]) == (5, 192.0)
    fail(logs)
    assert len(said) == 4
    assert "times" not in said[-1]


def test_different_faults_are_each_said(logs: Logs, said: list[Said]) -> None:
    """A fault does not hide another one."""
    for fault in Fault:
        fail(logs, 2, fault)
    assert [line["fault"] for line in said] == [fault.value for fault in Fault]


def test_what_is_waited_for_is_said_once(logs: Logs, said: list[Said], clock: Clock) -> None:
    """Asked again and again, the sentence is said once a minute."""
    for second in range(int(REPEAT_EVERY) + 1):
        clock.now = second
        logs.waiting("No answer from Elasticsearch.")
    assert [(line["event"], line.get("times")) for line in said] == [
        ("No answer from Elasticsearch.", None),
        ("No answer from Elasticsearch.", 61),
    ]


def test_what_was_counted_is_said_though_nothing_more_happens(
    logs: Logs, said: list[Said], clock: Clock
) -> None:
    """A heartbeat says what was counted since a fault was last said, once a minute; the end says the rest."""
    logs.rejected("not_an_object", 2)
    logs.rejected("not_an_object", 500)
    clock.now = REPEAT_EVERY - 1
    logs.heartbeat(lambda: NOWHERE)
    assert [line["lines"] for line in said] == [2]
    clock.now = REPEAT_EVERY
    for _ in range(3):
        logs.heartbeat(lambda: NOWHERE)
    assert [line["lines"] for line in said] == [2, 502]
    logs.rejected("not_an_object", 1)
    logs.stopped(Totals(503, rejected=503))
    assert [line.get("lines") for line in said] == [2, 502, 503, None]
    assert (said[-1]["event"], said[-1]["read"], said[-1]["rejected"]) == ("stopped", 503, 503)


def test_the_end_of_waiting_is_said(logs: Logs, said: list[Said], clock: Clock) -> None:
    """Connected at once, that is one line; after waiting it has how long that took, whatever was waited for."""
    logs.connected("uuid", "index-000001")
    assert said == [{"level": "info", "event": "connected", "write_index": "index-000001", "cluster": "uuid"}]
    for clock.now in range(40):
        logs.waiting("No answer." if clock.now < 30 else "There is no alias.")
    logs.connected("uuid", "index-000001")
    assert [line["event"] for line in said[1:]] == ["No answer.", "There is no alias.", "connected"]
    assert (said[-1]["times"], said[-1]["lasted_seconds"]) == (40, 39)


def test_a_checkpoint_that_fails_is_said_once_and_when_it_is_over(logs: Logs, said: list[Said]) -> None:
    """Its directory and reason are said; that it is written is said only after a failure."""
    logs.checkpoint_written()
    for _ in range(4):
        logs.checkpoint_failed("/state", "No space left on device")
    logs.checkpoint_written()
    logs.checkpoint_written()
    assert [line["event"] for line in said] == ["checkpoint cannot be written", "checkpoint written again"]
    assert (said[0]["directory"], said[0]["reason"]) == ("/state", "No space left on device")
    assert said[1]["times"] == 4


NOTE = "audit/0123456789abcdef\n7\nqqqq=\n\n— audit c2lnbmF0dXJl\n"


def test_each_signed_checkpoint_is_said_whole(logs: Logs, said: list[Said], clock: Clock) -> None:
    """It is an anchor wherever the log is kept; a failure is a warning, said once until it is over."""
    logs.sealing(3600.0)
    logs.sealed(3, 5000, 7, NOTE)
    for clock.now in (0.0, 5.0, 10.0):
        logs.sealing_failed("No answer from Elasticsearch.", 5.0)
    logs.sealed(1, 0, 8, NOTE.replace("7", "8"))
    logs.sealed(1, 0, 9, NOTE.replace("7", "9"))
    begin, first, failed, recovered, last = said
    assert begin == {"level": "info", "event": "sealing is on", "every_seconds": 3600.0}
    counts = {"size": 7, "leaves": 3, "lines": 5000}
    names = {"note": NOTE}
    assert first == {"level": "info", "event": "sealed"} | counts | names
    assert (failed["level"], failed["event"]) == ("warning", "sealing failed, retrying")
    assert failed["reason"] == "No answer from Elasticsearch."
    assert (recovered["size"], recovered["times"], recovered["lasted_seconds"]) == (8, 3, 10)
    assert (last["event"], last["size"], "times" in last) == ("sealed", 9, False)


def test_a_signed_checkpoint_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With its note as it was signed, so that a log collector keeps it."""
    Logs(logger()).sealed(3, 5000, 7, NOTE)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["note"]) == ("sealed", NOTE)


def test_a_state_directory_that_others_may_write_to_is_a_warning(logs: Logs, said: list[Said]) -> None:
    """With its mode and what to do."""
    logs.state_open_to_others("/state (drwxrwxrwx)")
    (line,) = said
    assert (line["level"], line["directory"]) == ("warning", "/state (drwxrwxrwx)")
    assert "chmod go-w" in line["fix"]


def test_what_becomes_of_indices_is_said(logs: Logs, said: list[Said]) -> None:
    """Each new and each deleted index; a failure once while it lasts, and anew after a success."""
    for _ in range(3):
        logs.rollover_failed("Elasticsearch refuses")
    logs.index_begun("a-000002")
    logs.index_deleted("a-000001")
    logs.rollover_failed("Elasticsearch refuses")
    logs.rollover_managed("a")
    assert [line["event"] for line in said] == [
        "rollover failed, retrying",
        "alias rolled over",
        "old index deleted",
        "rollover failed, retrying",
        "rollover left to lifecycle management",
    ]
    assert [line.get("index") or line.get("reason") or line.get("policy") for line in said] == [
        "Elasticsearch refuses",
        "a-000002",
        "a-000001",
        "Elasticsearch refuses",
        "a",
    ]


def test_an_unreadable_file_is_said_once_while_it_lasts(logs: Logs, said: list[Said]) -> None:
    """Another file is said too; the same one again after it could be read."""
    for path in ("one", "one", "two", "one"):
        logs.file_unreadable(path, "Permission denied")
    logs.file_found("one", Recognition.RESUMED, 7)
    logs.file_unreadable("one", "Input/output error")
    assert [(line["event"], line["file"]) for line in said] == [
        ("file cannot be read", "one"),
        ("file cannot be read", "two"),
        ("file found", "one"),
        ("file cannot be read", "one"),
    ]


def test_rejected_lines_are_all_counted(logs: Logs, said: list[Said], clock: Clock) -> None:
    """Each reason is said once a minute, with the number of all lines rejected for it so far."""
    logs.rejected("not_an_object", 2)
    logs.rejected("not_an_object", 5)
    logs.rejected("document_parsing_exception", 1)
    clock.now = REPEAT_EVERY
    logs.rejected("not_an_object", 1)
    assert [(line["type"], line["lines"]) for line in said] == [
        ("not_an_object", 2),
        ("document_parsing_exception", 1),
        ("not_an_object", 8),
    ]


def test_what_happens_to_files_is_said(logs: Logs, said: list[Said]) -> None:
    """Found, finished and lost files are said each time; loss is an error."""
    logs.file_found("a.log", Recognition.TRUNCATED, 0)
    logs.file_finished("a.log")
    logs.file_lost("a.log", 17)
    assert [line["level"] for line in said] == ["info", "info", "error"]
    assert (said[0]["recognised_as"], said[2]["unread_bytes"]) == ("truncated", 17)


def test_batches_are_not_said(logs: Logs, said: list[Said]) -> None:
    """What goes well, again and again, is for counters, and for who asks for `debug`."""
    logs.batch_acknowledged(Totals(1, 1), 0.1)
    logs.block_read("a.log", 100)
    assert said == []


def test_several_threads_say_a_fault_once(logs: Logs, said: list[Said], clock: Clock) -> None:
    """Senders that fail at the same time are one fault, with all their tries."""
    start = threading.Barrier(8)
    clock.on_look = lambda: time.sleep(0)  # lets another thread go on

    def fail_often() -> None:
        start.wait()
        fail(logs, 500)

    threads = [threading.Thread(target=fail_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs.delivery_recovered()
    assert [line["event"] for line in said] == ["delivery failed, retrying", "delivery recovered"]
    assert said[1]["times"] == 4000


def test_logs_are_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no person watches, standard error gets JSON with level and time, and standard output nothing."""
    Logs(logger()).file_found("a\nb.log", Recognition.NEW, 0)
    out, err = capsys.readouterr()
    assert out == ""
    line = json.loads(err)
    assert (line["level"], line["event"], line["file"]) == ("info", "file found", "a\nb.log")
    assert line["timestamp"].endswith("Z")


def test_a_terminal_gets_text_with_spans_of_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a person watches, a line is text, and seconds are minutes; with NO_COLOR there is nothing else in it."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    now = iter([0.0, 0.0, 0.0, 192.0])
    logs = Logs(logger(), lambda: next(now))
    fail(logs)
    logs.delivery_recovered()
    lines = capsys.readouterr().err.splitlines()
    assert "delivery failed, retrying" in lines[0]
    assert "\x1b" not in lines[1]
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d \[info *\] delivery recovered +lasted='3 min 12 s' times=1", lines[1]
    )


def test_debug_tells_of_each_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """With the lowest level there is a line for each batch, none for an entry."""
    Logs(logger("debug")).batch_acknowledged(Totals(5000, 5000, bytes=4_000_000), 0.25)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["lines"], line["took_seconds"]) == ("debug", 5000, 0.25)


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a progress bar only warnings are shown."""
    logs = Logs(logger("warning"))
    logs.file_found("a.log", Recognition.NEW, 0)
    logs.file_unreadable("b.log", "Permission denied")
    assert [json.loads(line)["file"] for line in capsys.readouterr().err.splitlines()] == ["b.log"]


# ---- events


EVENTS = [name for name in vars(Events) if not name.startswith("_")]


@pytest.mark.parametrize("name", EVENTS)
def test_a_broadcast_tells_each_listener(name: str) -> None:
    """Whatever happens, all listeners hear of it, in their order, with the same facts."""
    one, two = Heard(), Heard()
    getattr(Broadcast(one, two), name)("fact", 1)
    assert one.told == two.told == [(name, ("fact", 1))]


class Broken(Events):
    """Raises whatever it is told, and what it is told of its own failure, too."""

    def __init__(self, error: Exception) -> None:
        for name in EVENTS:
            setattr(self, name, partial(self._fail, error))

    def _fail(self, error: Exception, *_: object) -> None:
        raise error


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("closed"), KeyError(1)])
def test_a_listener_that_fails_fails_alone(name: str, error: Exception) -> None:
    """Others before and after it hear all the same, and hear of the failure; whoever tells notices nothing."""
    one, two = Heard(), Heard()
    broken = Broken(error)
    getattr(Broadcast(one, Broadcast(broken), broken, two), name)("fact", 1)
    failure = ("listener_failed", ("Broken", f"{type(error).__name__}: {error}"))
    told = (name, ("fact", 1))
    assert (one.told, two.told) == ([told, failure], [failure, told])


def test_a_listener_that_fails_again_and_again_is_said_once(logs: Logs, said: list[Said]) -> None:
    """With what is wrong with it."""
    broadcast = Broadcast(logs, Broken(OSError("full")))
    for n in range(100):
        broadcast.block_read("a.log", n)
    facts = {"listener": "Broken", "reason": "OSError: full"}
    assert said == [{"level": "warning", "event": "listener failed", **facts}]


def test_a_log_that_cannot_be_written_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error may be closed, or full."""
    numbers = MetricsRecorder()
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", full)
        broadcast = Broadcast(Logs(logger()), numbers)
        broadcast.file_lost("a.log", 7)
        with contextlib.suppress(OSError):
            full.close()
        broadcast.file_lost("b.log", 8)
    assert (numbers.snapshot().lost_bytes, numbers.snapshot().listener_failures) == (15, 2)
    assert capsys.readouterr().err == ""


def test_totals_are_sums() -> None:
    """Totals of two batches add up field by field, and can be taken apart again."""
    one, two = Totals(15, 1, 2, 4, 8, 16), Totals(30, 10, 10, 5, 5, 7)
    assert one + two == Totals(45, 11, 12, 9, 13, 23)
    assert (one + two) - two == one
