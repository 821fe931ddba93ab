"""Appends numbered entries to a log, and writes each to a record of its own: a writer whose log logrotate rotates.

python appender.py LOG RECORD SECONDS

SECONDS is the pause after each entry. Each line of standard input is a number: entries up to it may be written. On
SIGHUP it opens its log anew, as a postrotate script asks for, and then removes the file RECORD.reopen.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Orders:
    """What it was told."""

    last: int = 0
    """Entries before this one may be written."""
    ended: bool = False
    reopen: bool = False

    def follow(self) -> None:
        """Read standard input to its end."""
        for order in sys.stdin:
            self.last = int(order)
        self.ended = True

    def hang_up(self, *_: object) -> None:
        """A handler of SIGHUP."""
        self.reopen = True


def entries() -> Iterator[bytes]:
    """Spelt so that only its very bytes are equal to each."""
    number = 0
    while True:
        padding = b"x" * (number % 97)
        yield b'{"eventDate":"2026-05-11 06:30:00.000","n":%d,"x" : 1.0,"s":"\\u00e9\\/","pad":"%b"}\n' % (
            number,
            padding,
        )
        number += 1


def reopen_request(record: Path) -> Path:
    """The file that is there from when it is asked to open its log anew until it has done so."""
    return record.with_name(f"{record.name}.reopen")


def opened(log: Path) -> int:
    """A descriptor that appends."""
    return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def write(log: Path, record: Path, pause: float, orders: Orders) -> None:
    """Write until the orders end."""
    descriptor, written = opened(log), 0
    with record.open("wb", buffering=0) as recorded:
        for line in entries():
            while written >= orders.last or orders.reopen:
                if orders.reopen:
                    orders.reopen = False
                    os.close(descriptor)
                    descriptor = opened(log)
                    reopen_request(record).unlink()
                elif orders.ended:
                    return
                time.sleep(0.002)
            os.write(descriptor, line)
            recorded.write(line)
            written += 1
            time.sleep(pause)


if __name__ == "__main__":
    told = Orders()
    signal.signal(signal.SIGHUP, told.hang_up)
    threading.Thread(target=told.follow, daemon=True).start()
    write(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), told)
