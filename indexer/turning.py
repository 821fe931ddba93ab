"""`indexer run --rollover`: rolls the alias over and deletes old indices, beside the indexing and never in its way."""

import threading

from indexer.background import repeat
from indexer.cluster.client import connect, explained
from indexer.cluster.rollover import turn
from indexer.events import Events
from indexer.settings import Ageing, Connection

EVERY = 300.0
"""Seconds between looks; lifecycle management looks every ten minutes (`indices.lifecycle.poll_interval`)."""


def start_turning(connection: Connection, ageing: Ageing, events: Events, stop: threading.Event) -> None:
    """Begin to look again and again, in a thread of its own, until `stop`. What fails is told and tried again.

    Where the server does this already, that is told once, and the look goes on: it may do so no more tomorrow.
    """
    managed: str | None = None

    def work() -> None:
        nonlocal managed
        with connect(connection) as client, explained(connection):
            turned = turn(client, connection, ageing)
        if turned.began is not None:
            events.index_begun(turned.began)
        for index in turned.deleted:
            events.index_deleted(index)
        if turned.managed not in {None, managed}:
            events.rollover_managed(str(turned.managed))
        managed = turned.managed

    repeat("rollover", work, EVERY, events.rollover_failed, stop).start()
