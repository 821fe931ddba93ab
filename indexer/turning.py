"""`indexer run --rollover`: rolls the alias over and deletes old indices, beside the indexing and never in its way."""

import threading

from indexer.cluster.client import connect, explained
from indexer.cluster.rollover import turn
from indexer.errors import Fatal
from indexer.events import Events
from indexer.settings import Ageing, Connection

EVERY = 300.0
"""Seconds between looks; lifecycle management looks every ten minutes (`indices.lifecycle.poll_interval`)."""


def start_turning(connection: Connection, ageing: Ageing, events: Events, stop: threading.Event) -> None:
    """Begin to look again and again, in a thread of its own, until `stop`. What fails is told and tried again.

    It ends by itself where the server does this already.
    """
    given = (connection, ageing, events, stop)
    threading.Thread(target=_turn_until, args=given, name="rollover", daemon=True).start()


def _turn_until(connection: Connection, ageing: Ageing, events: Events, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with connect(connection) as client, explained(connection):
                turned = turn(client, connection, ageing)
        except Fatal as reason:
            events.rollover_failed(str(reason))
        else:
            if turned.began is not None:
                events.index_begun(turned.began)
            for index in turned.deleted:
                events.index_deleted(index)
            if turned.managed is not None:
                events.rollover_managed(turned.managed)
                return
        stop.wait(EVERY)
