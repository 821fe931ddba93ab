"""Standard input, output and error.

Writing to standard error never blocks and never fails, because the delivery is more important than its log: the disk may be
full, or the reader stopped or slow. Standard output is the result of the command: if writing fails, the command fails.
"""

import atexit
import contextlib
import io
import os
import select
import signal
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, NoReturn, TextIO

from indexer.errors import Fatal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BUFFER = 1024 * 1024
"""Maximum size of unwritten output to standard error, in bytes; more is dropped."""
EXIT_TIMEOUT = 1.0
"""Seconds that the process waits for standard error at exit."""


class CannotPrint(Fatal):
    """Standard output cannot be written: a full disk."""

    sentence = "Cannot write to standard output: {reason}."
    hint = "Redirect the output."


def prepare() -> None:
    """Open all three. Standard error is written in the background; standard output raises CannotPrint."""
    for number in range(3):
        _be_open(number)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    output = io.BufferedWriter(_Output(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(output, *_coding(sys.stdout, "replace"), line_buffering=output.isatty())
    background = BackgroundWriter(2)
    sys.stderr = io.TextIOWrapper(background, *_coding(sys.stderr, "backslashreplace"), line_buffering=True)
    atexit.register(background.settle, EXIT_TIMEOUT)


def discard_output() -> None:
    """Discard the rest of standard output, so that Python does not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def write_data(text: str) -> None:
    """Write data for programs: UTF-8 in any locale, with no character replaced."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def end_unread() -> NoReturn:
    """End by SIGPIPE, as other tools whose output is no longer read."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(128 + signal.SIGPIPE)  # if the signal is blocked


class BackgroundWriter(io.RawIOBase):
    """Accepts bytes without blocking and writes them in a background thread. What does not fit into the buffer is dropped."""

    def __init__(self, descriptor: int, room: int = BUFFER) -> None:
        self._descriptor = descriptor
        self._room = room
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Accept all bytes."""
        block = bytes(data)
        with self._changed:
            if len(block) <= self._room:
                self._room -= len(block)
                self._waiting.append(block)
                self._changed.notify_all()
                self._begin()
        return len(block)

    def settle(self, within: float) -> None:
        """Wait until all is written, at most `within` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, within)

    def _begin(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._write_all, name="standard-error", daemon=True)
            with contextlib.suppress(
                RuntimeError
            ):  # no thread can be started now; retried with the next line
                thread.start()
                self._thread = thread

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                block = self._waiting[0]
            self._write_out(block)
            with self._changed:
                self._room += len(self._waiting.popleft())
                self._changed.notify_all()

    def _write_out(self, block: bytes) -> None:
        with contextlib.suppress(OSError):
            while block:
                try:
                    block = block[os.write(self._descriptor, block) :]
                except BlockingIOError:  # another process that shares the pipe made it non-blocking
                    select.select([], [self._descriptor], [])


class _Output(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        """Raises CannotPrint; ends the process if the reader has closed the pipe, as `head` does."""
        try:
            return super().write(data)
        except BrokenPipeError:
            end_unread()
        except OSError as error:
            raise CannotPrint(reason=error.strerror or error) from None


def _be_open(number: int) -> None:
    """Otherwise the next opened file, a log or the checkpoint, would get this number and be written to."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def _coding(stream: TextIO | None, errors: str) -> tuple[str, str]:
    """The encoding of the stream, and how characters that it lacks are replaced."""
    return (stream.encoding, errors) if stream else ("utf-8", errors)
