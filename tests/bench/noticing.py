"""Ways to notice that a log has grown, put under the indexer where it waits before it looks again.

The pipeline waits by `stop.wait(seconds)`; here `stop` waits in another way.
"""

import ctypes
import os
import select
import threading
from collections.abc import Sequence
from pathlib import Path

IN_MODIFY = 0x2
"""inotify(7): the file was written to."""
LATEST = 1.0
"""Seconds after which files are looked at whether or not they were reported: a file system may not tell."""
ANSWERED = 0.05
"""Seconds after growth after which the answer to what was sent is looked for."""
EVENTS = 64 * 1024


class Polling(threading.Event):
    """As the indexer is: it looks every so often."""

    def __init__(self, logs: Sequence[Path], seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Inotify(Polling):
    """Ends the wait when the kernel tells of a write, and then gathers what follows within `seconds`.

    Straight on the C library's calls: less than any Python library over them can cost.
    """

    def __init__(self, logs: Sequence[Path], seconds: float) -> None:
        """Raises OSError."""
        super().__init__(logs, seconds)
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for log in logs:
            if libc.inotify_add_watch(self._descriptor, os.fsencode(log), ctypes.c_uint32(IN_MODIFY)) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(log))
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._grown = True
        self._waits_here = threading.get_ident()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for growth, in the thread that reads; as ever, in the others."""
        if threading.get_ident() != self._waits_here or timeout != self.seconds:
            return super().wait(timeout)
        self._grown = bool(self._poll.poll((ANSWERED if self._grown else LATEST) * 1000))
        if self._grown:
            super().wait(self.seconds)
            os.read(self._descriptor, EVENTS)
        return self.is_set()
