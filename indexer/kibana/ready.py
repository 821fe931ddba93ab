"""Waiting for a Kibana that is starting: it takes a minute or two, more if it migrates its data."""

import time
from collections.abc import Callable
from threading import Event

from indexer.errors import Stopped
from indexer.kibana.api import Api, KibanaNotReady
from indexer.kibana.saved_objects import Version

WITHIN = 300.0
"""Seconds."""
EVERY = 2.0
"""Seconds between two requests."""
TOLD_EVERY = 15.0
"""Seconds between two lines about it."""


def version_when_ready(api: Api, tell: Callable[[str], None], stopping: Callable[[], Event]) -> Version:
    """The version of Kibana, as soon as it has started.

    tell      called with a line now and then, while it waits
    stopping  called once, before it waits: gives the event that ends it

    Raises KibanaNotReady after `WITHIN` seconds, Stopped, and Fatal as `Api.version` does.
    """
    started = time.monotonic()
    stop: Event | None = None
    told = -TOLD_EVERY
    while True:
        try:
            return api.version()
        except KibanaNotReady as error:
            waited = time.monotonic() - started
            if waited >= WITHIN:
                raise
            stop = stop or stopping()
            if waited - told >= TOLD_EVERY:
                told = waited
                tell(f"{error.sentence.format(**error.facts)} Waiting: {waited:.0f} of {WITHIN:.0f} s.")
        if stop.wait(EVERY):
            raise Stopped
