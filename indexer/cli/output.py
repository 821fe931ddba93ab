"""Standard output, whatever it is: a pipe that nobody reads any more, a full disk, nothing, or a terminal with few signs."""

import io
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from indexer.errors import Fatal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class NotPrinted(Fatal):
    """What a command has to say cannot be written."""

    sentence = "Cannot write to standard output: {reason}."
    cure = "Apart from that the command has done its work."


class _Output(io.FileIO):
    """Ends the process, as other tools end, when nobody reads any more; says once when there is no room."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            _end_by(signal.SIGPIPE)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # for what is flushed at the exit
            raise NotPrinted(reason=error.strerror) from None


def prepare() -> None:
    """Make `sys.stdout` one that replaces signs which its encoding lacks, and deals with errors."""
    given = sys.stdout
    if given is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as we live
        return
    assert isinstance(given, io.TextIOWrapper)  # noqa: S101 - as Python makes it
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(given.fileno(), "w", closefd=False)),
        encoding=given.encoding,
        errors="replace",
        line_buffering=given.line_buffering,
        write_through=given.write_through,
    )


def write_data(text: str) -> None:
    """Write a line, or lines, that programs read: as UTF-8 whatever the locale is, with nothing replaced."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def _end_by(number: signal.Signals) -> NoReturn:
    """End as that signal ends a process that does not handle it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the signal is blocked
