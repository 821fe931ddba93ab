"""What a run tells systemd, over a real datagram socket; a real systemd listens in tests/integration/test_systemd.py."""

import inspect
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.events import Broadcast, Events, Fault, Progress, Recognition, Totals
from indexer.monitoring.health import ALIVE_WITHIN, assess
from indexer.monitoring.recorder import MetricsRecorder
from indexer.monitoring.systemd import Systemd, sender, supervised, watchdog
from tests.support.observed import Heard

EXTENDED = f"EXTEND_TIMEOUT_USEC={ALIVE_WITHIN * 1_000_000:.0f}"


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Manager:
    """The socket that systemd listens on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(0)

    def messages(self) -> list[str]:
        """What came since the last call."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a name that is short enough for a socket in it."""
    path = Path("/tmp") / f"n{secrets.token_hex(4)}"
    path.mkdir()
    yield path
    for each in path.iterdir():
        each.unlink()
    path.rmdir()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, directory: Path) -> Iterator[Manager]:
    """Listens at a path, and at a name in the abstract namespace."""
    made = Manager(str(directory / "notify") if request.param == "path" else f"@{directory.name}")
    yield made
    made.socket.close()


def progress() -> Progress:
    return Progress((), 0, 0, 0.0, Totals())


def beats(events: Events, times: int = 1) -> None:
    for _ in range(times):
        events.heartbeat(progress)


def test_a_run_is_ready_once_it_delivers(manager: Manager) -> None:
    """While it waits for Elasticsearch it is not, says why, and asks for more time; the first heartbeat is its readiness."""
    events = Systemd(sender(manager.address), None)
    events.waiting("No answer from https://es:9200.\nREADY=1")
    assert manager.messages() == [f"STATUS=No answer from https://es:9200.\\nREADY=1\n{EXTENDED}"]
    events.connected("uuid", "zoomdata-activity-000001")
    events.file_found("/logs/a.log", Recognition.NEW, 0)
    assert manager.messages() == [f"STATUS=Scans for log files.\n{EXTENDED}", EXTENDED]
    beats(events, 3)
    events.waiting("A sender waits.")
    assert manager.messages() == ["READY=1\nSTATUS=Delivers to zoomdata-activity-000001."]
    events.stopping()
    assert manager.messages() == ["STOPPING=1\nSTATUS=Waits for what is in flight."]


def test_signs_of_life_are_sent_ten_times_within_the_timeout(manager: Manager) -> None:
    """Only while the main loop runs: no thread sends them in its place."""
    clock = Clock()
    events = Systemd(sender(manager.address), 60.0, clock)
    events.connected(None, "i")
    beats(events)
    assert manager.messages()[-2:] == ["READY=1\nSTATUS=Delivers to i.", "WATCHDOG=1"]
    for _ in range(60):
        clock.now += 1.0
        beats(events)
    assert manager.messages() == ["WATCHDOG=1"] * 10
    clock.now += 60.0
    assert manager.messages() == []


def test_readiness_that_could_not_be_sent_is_sent_with_the_next_heartbeat(manager: Manager) -> None:
    """Nobody waits for a manager whose queue is full; what has to arrive is repeated."""
    events = Systemd(sender(manager.address), None)
    send = sender(manager.address)
    while send("EXTEND_TIMEOUT_USEC=1"):
        pass
    beats(events)
    manager.messages()
    beats(events, 2)
    assert manager.messages() == ["READY=1\nSTATUS="]


EXAMPLES: dict[Any, Any] = {
    str: "text",
    str | None: None,
    int: 1,
    float: 1.0,
    Callable[[], Progress]: progress,
    Recognition: Recognition.NEW,
    Fault: Fault.DISK,
    Totals: Totals(),
}
EVENTS = {
    name: [EXAMPLES[it.annotation] for it in list(inspect.signature(method).parameters.values())[1:]]
    for name, method in vars(Events).items()
    if not name.startswith("_")
}
"""Each event that there is, with facts."""


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("event", EVENTS)
def test_the_watchdog_and_healthz_see_the_same_signs_of_life(
    event: str, *, connected: bool, directory: Path
) -> None:
    """An event extends the watchdog's time if, and only if, it keeps /healthz at 200."""
    clock = Clock()
    manager = Manager(str(directory / "notify"))
    recorder = MetricsRecorder(clock)
    systemd = Systemd(sender(manager.address), 10.0, clock)
    both = Broadcast(recorder, systemd)
    if connected:
        both.connected("uuid", "i")
        beats(both)
    clock.now += ALIVE_WITHIN + 1
    assert not assess(recorder.snapshot()).alive
    manager.messages()
    getattr(both, event)(*EVENTS[event])
    told = "\n".join(manager.messages())
    manager.socket.close()
    assert ("WATCHDOG=1" in told or EXTENDED in told) == assess(recorder.snapshot()).alive


def test_nothing_is_told_without_a_socket() -> None:
    """Elsewhere than under systemd the listeners stay as they are; so with an address of a kind that is not known."""
    events = Heard()
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}):
        assert supervised(events, environment) is events


def test_a_socket_that_is_gone_stops_nothing(directory: Path) -> None:
    """The other listeners hear of everything, and of no failure."""
    events = Heard()
    told = supervised(events, {"NOTIFY_SOCKET": str(directory / "gone"), "WATCHDOG_USEC": "1000000"})
    told.connected("uuid", "i")
    beats(told, 2)
    told.stopping()
    assert [name for name, _ in events.told] == ["connected", "heartbeat", "heartbeat", "stopping"]


@pytest.mark.parametrize(
    ("environment", "timeout"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_timeout(environment: dict[str, str], timeout: float | None) -> None:
    """In seconds; none where another process is watched."""
    assert watchdog(environment) == timeout


def test_the_command_tells_what_it_waits_for(directory: Path, tmp_path: Path) -> None:
    """`indexer run` without an Elasticsearch: not ready, but alive, with the reason; a stop ends it."""
    manager = Manager(str(directory / "notify"))
    manager.socket.settimeout(30)
    given = {"NOTIFY_SOCKET": manager.address, "INDEXER_STATE_DIR": str(tmp_path / "state")}
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        command = [sys.executable, "-m", "indexer", "run", "--elasticsearch-url", address, str(tmp_path)]
        process = subprocess.Popen(command, env=os.environ | given, stderr=subprocess.DEVNULL)
        try:
            told = manager.socket.recv(4096).decode()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            manager.socket.close()
    status, extended = told.split("\n")
    assert status.startswith("STATUS=")
    assert address in status
    assert extended == EXTENDED
