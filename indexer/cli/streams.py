"""Standard input, output and error: open, and never in the way of what a command does.

What is written to standard error waits for nobody and fails never, for a log line is worth less than the delivery that it
tells of: its disk may be full, its reader dead, stopped or slow. What is written to standard output is what somebody asked
for, so a failure there is the command's failure, with a sentence.
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

ROOM = 1024 * 1024
"""Bytes for standard error that may wait to be written; what comes then is dropped."""
LAST_WORDS = 1.0
"""Seconds that the end of the process waits for standard error."""


class CannotPrint(Fatal):
    """Standard output takes nothing: a full disk."""

    sentence = "Cannot write to standard output: {reason}."
    hint = "Send its output somewhere else."


def prepare() -> None:
    """Let all three be open, standard error be written in the background, and standard output raise CannotPrint."""
    for number in range(3):
        _be_open(number)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    output = io.BufferedWriter(_Output(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(output, *_coding(sys.stdout, "replace"), line_buffering=output.isatty())
    background = BackgroundWriter(2)
    sys.stderr = io.TextIOWrapper(background, *_coding(sys.stderr, "backslashreplace"), line_buffering=True)
    atexit.register(background.settle, LAST_WORDS)


def discard_output() -> None:
    """Let what is left of standard output go nowhere, lest Python fails again on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def write_data(text: str) -> None:
    """Write a line, or lines, that programs read: as UTF-8 whatever the locale is, with nothing replaced."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def end_unread() -> NoReturn:
    """End as other tools do whose output nobody reads any more: by SIGPIPE."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(128 + signal.SIGPIPE)  # the signal is blocked


class BackgroundWriter(io.RawIOBase):
    """Takes bytes at once and writes them from a thread of its own. What the descriptor does not take is dropped."""

    def __init__(self, descriptor: int, room: int = ROOM) -> None:
        self._descriptor = descriptor
        self._room = room
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """The descriptor that is written to."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Take all of it, at once."""
        block = bytes(data)
        with self._changed:
            if len(block) <= self._room:
                self._room -= len(block)
                self._waiting.append(block)
                self._changed.notify_all()
                self._begin()
        return len(block)

    def settle(self, within: float) -> None:
        """Wait until all is written, at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, within)

    def _begin(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._write_all, name="standard-error", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread can be had now: perhaps at the next line
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
                except BlockingIOError:  # whoever shares the pipe made it so
                    select.select([], [self._descriptor], [])


class _Output(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        """Raises CannotPrint; ends the process if its reader has gone, as `| head` does."""
        try:
            return super().write(data)
        except BrokenPipeError:
            end_unread()
        except OSError as error:
            raise CannotPrint(reason=error.strerror or error) from None


def _be_open(number: int) -> None:
    """Else the next file to be opened, a log or the checkpoint, would be taken for standard error and written to."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def _coding(stream: TextIO | None, errors: str) -> tuple[str, str]:
    """The encoding of the stream that Python made, and what it does with signs that it lacks, if it made one."""
    return (stream.encoding, errors) if stream else ("utf-8", errors)
