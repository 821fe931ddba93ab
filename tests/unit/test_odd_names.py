"""Logs whose names hold line feeds, escape sequences or bytes that are no text: all that goes on with them."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.check import local
from indexer.events import Broadcast
from indexer.monitoring.health import assess
from indexer.monitoring.logs import Logs, logger
from indexer.monitoring.recorder import MetricsRecorder
from indexer.reading import reader
from indexer.reading.files import Scope, find
from indexer.settings import Connection, LogFiles, State
from indexer.show import as_json
from indexer.status.status import local_status
from tests.support.observed import Heard, Stop
from tests.support.world import World, there_is

NAMES = {
    "a line feed": b"activity\n.log",
    "only a line feed": b"\nactivity.log",
    "an escape sequence": b"\x1b]0;owned\x07\x1b[31mactivity.log",
    "a C1 control": "\u009b31mactivity.log".encode(),
    "no UTF-8": b"activity\xff\xfe.log",
    "more that is no UTF-8": b"activity\xff\xfd.log",
    "half a surrogate": b"activity\xed\xa0\x80.log",
    "bidirectional": "\u202eactivity.log".encode(),
    "a glob": b"activity[0-9]*?.log",
    "as long as may be": b"activity.log." + b"\xff" * 242,
    "blanks": b" activity.log ",
    "quotes": b"activity'\"$(id)`.log",
    "a dash": b"-activity.log",
}
LONG = b"x" * 2000


def lines(number: int) -> list[bytes]:
    """An entry, a line that is none, and one too long to hold."""
    return [b'{"of":%d,"n":%d}' % (number, n) for n in range(5)] + [
        b"none %d" % number,
        LONG + b"%d" % number,
    ]


@pytest.fixture(autouse=True)
def _no_look_at_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record has a printable path, and may be of an archive: World cannot open what it names."""
    monkeypatch.setattr(World, "check_record", lambda *_: None)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Logs of all these names."""
    monkeypatch.setattr(reader, "BLOCK", 300)
    world = World(tmp_path)
    for number, name in enumerate(NAMES.values()):
        (world.logs / os.fsdecode(name)).write_bytes(b"".join(line + b"\n" for line in lines(number)))
    yield world
    world.stop.set()


def all_lines() -> list[bytes]:
    return [line for number in range(len(NAMES)) for line in lines(number)]


def sound(heard: Heard) -> bool:
    """All that was told can be written as text."""
    return all(fact.encode() or True for _, facts in heard.told for fact in facts if isinstance(fact, str))


@pytest.mark.parametrize("once", [True, False])
def test_each_line_goes_in_once_whatever_its_file_is_called(world: World, *, once: bool) -> None:
    """Entries, rejected lines and those in pieces; and after a restart nothing is read again."""
    world.stop = Stop(last=150)
    totals = world.run(once=once)
    assert world.arrived == there_is(all_lines())
    assert totals.rejected == 2 * len(NAMES)
    assert sound(world.heard)
    assert len({record.key for record in world.records.values()}) == len(NAMES)
    assert world.again() == totals


def test_what_grows_goes_on_after_a_restart(world: World) -> None:
    """From where it was."""
    totals = world.run()
    more = []
    for number, path in enumerate(sorted(world.logs.iterdir())):
        more.append(b'{"more":%d}' % number)
        with path.open("ab") as file:
            file.write(more[-1] + b"\n")
    assert world.again().read == totals.read + len(NAMES)
    assert world.arrived == there_is([*all_lines(), *more])


@pytest.mark.parametrize("bad", ["packed", "link", "damaged"])
def test_what_cannot_be_read_is_told_whatever_it_is_called(
    tmp_path: Path, bad: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """By logs, metrics and /readyz."""
    world = World(tmp_path)
    world.most_spooled = 0
    (tmp_path / "elsewhere").write_bytes(b"{}\n")
    for name in NAMES.values():
        path = world.logs / os.fsdecode(name)
        if bad == "link":
            path.symlink_to(tmp_path / "elsewhere")
        else:
            path.write_bytes(b"BZh91AY" if bad == "packed" else gzip.compress(b"{}\n" * 100)[:-9] + b"x")
    numbers = MetricsRecorder()
    heard = world.heard
    world.heard = Broadcast(heard, numbers, Logs(logger()))  # type: ignore[assignment]
    world.run()
    world.heard = heard
    assert heard.of("listener_failed") == []
    assert len(heard.of("file_unreadable")) >= len(NAMES) - 1, "two have one printable name"
    assert sound(heard)
    snapshot = numbers.snapshot()
    as_json(snapshot).encode()
    assert as_json(assess(snapshot)).encode().count(b"cannot be read") == len(snapshot.unreadable)
    assert capfd.readouterr().err.count("\n") >= len(snapshot.unreadable), "a line each"


def test_status_and_check_show_them(world: World) -> None:
    """Given by a directory or by name."""
    world.run()
    paths = [str(path) for path in world.logs.iterdir()]
    for given in ([str(world.logs)], paths):
        status = local_status(LogFiles(given), Connection(), State(world.state))
        assert as_json(status).encode().count(b'"finished"') == len(NAMES) - 1  # two have one printable name
        assert all(as_json(finding).encode() for finding in local.logs(given))
        assert len(
            find(given, Scope.of(given, follow_symlinks=False, state=world.state, secrets=[])).found
        ) == len(NAMES)
