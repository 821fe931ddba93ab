"""Tells systemd how a run is: ready, alive, stopping. Without systemd, nothing.

The protocol is that of sd_notify(3): a datagram of `NAME=value` lines to the socket that NOTIFY_SOCKET names. Signs of life
are the events that MetricsRecorder takes for them, so that the watchdog and `/healthz` agree. While a run waits for
Elasticsearch it is not ready; each sign of life then extends the time that it has to become so.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping

from indexer.escaping import printable
from indexer.events import Broadcast, Events, Progress, Recognition
from indexer.monitoring.health import ALIVE_WITHIN

SIGNS_PER_TIMEOUT = 10
"""Signs of life sent within the watchdog's timeout."""
MICROSECONDS = 1_000_000
EXTEND = f"EXTEND_TIMEOUT_USEC={ALIVE_WITHIN * MICROSECONDS:.0f}"

Send = Callable[[str], bool]
"""Sends a message; False if it was not sent. Never waits, never raises."""


def supervised(events: Events, environment: Mapping[str, str]) -> Events:
    """The listeners `events`, and systemd beside them, if NOTIFY_SOCKET says that it listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return events
    return Broadcast(events, Systemd(sender(address), watchdog(environment)))


def watchdog(environment: Mapping[str, str]) -> float | None:
    """The watchdog's timeout, in seconds; None if this process has none."""
    own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    timeout = environment.get("WATCHDOG_USEC", "")
    return int(timeout) / MICROSECONDS if own and timeout.isdecimal() else None


def sender(address: str) -> Send:
    """What sends to a socket: a path, or with @ a name in Linux's abstract namespace."""
    target = os.fsencode(address)
    if target.startswith(b"@"):
        target = b"\0" + target[1:]

    def send(message: str) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.sendto(message.encode(), socket.MSG_DONTWAIT, target)
        except OSError:  # systemd is busy or gone: the next sign of life is due soon
            return False
        return True

    return send


class Systemd(Events):
    """Sends what systemd has to know."""

    def __init__(
        self, send: Send, timeout: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._every = None if timeout is None else timeout / SIGNS_PER_TIMEOUT
        self._clock = clock
        self._due = float("-inf")
        self._connected = self._ready = False
        self._status = ""

    def waiting(self, sentence: str) -> None:
        """Show the reason in `systemctl status`, and extend the time for the start."""
        if not self._connected:  # else a sender may be waiting while the main loop hangs
            self._send(f"STATUS={printable(sentence)}\n{EXTEND}")

    def connected(self, cluster: str | None, write_index: str) -> None:
        """Extend the time for the start: a first scan of many archives may take a while."""
        self._connected = True
        self._status = f"Delivers to {printable(write_index)}."
        self._send(f"STATUS=Scans for log files.\n{EXTEND}")

    def heartbeat(self, look: Callable[[], Progress]) -> None:
        """Report readiness with the first one, and signs of life from then on."""
        if not self._ready:
            self._ready = self._send(f"READY=1\nSTATUS={self._status}")
        self._alive()

    def file_found(self, path: str, recognition: Recognition, offset: int) -> None:
        """A sign of life."""
        self._alive()

    def stopping(self) -> None:
        """Report that what is in flight is waited for."""
        self._send("STOPPING=1\nSTATUS=Waits for what is in flight.")

    def _alive(self) -> None:
        if not self._ready:
            self._send(EXTEND)
        elif self._every is not None and self._clock() >= self._due:
            self._due = self._clock() + self._every
            self._send("WATCHDOG=1")
