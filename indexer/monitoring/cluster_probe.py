"""Asks, now and then, what nobody tells: is the cluster there, how many fields are mapped, is there room on the disk."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.alias import backing
from indexer.elastic.cluster import connected
from indexer.elastic.fields import fields
from indexer.events import Events
from indexer.monitoring.recorder import MetricsRecorder
from indexer.monitoring.snapshot import Fields
from indexer.polling import repeat
from indexer.settings import Connection

LOOK_EVERY = 10.0
"""Seconds between looks; an indexer that has nothing to send would not notice otherwise."""
FIELDS_EVERY = 60.0
"""Seconds between counts of the mapped fields, which are as long an answer as the mapping is."""
ANSWERED_WITHIN = 4.0
"""Seconds for an answer, at most."""


class ClusterProbe(Events):
    """Looks in a thread of its own, from the moment when the run is connected until it is closed."""

    def __init__(self, connection: Connection, state: Path, numbers: MetricsRecorder) -> None:
        within = min(connection.request_timeout, ANSWERED_WITHIN)
        self._connection = replace(connection, request_timeout=within)
        self._state = state
        self._numbers = numbers
        self._stop = threading.Event()
        self._counted = float("-inf")
        self._thread = repeat("lookout", self.look, LOOK_EVERY, numbers.cluster_seen, self._stop)

    def connected(self, cluster: str | None, write_index: str) -> None:
        """Begin; until then the run itself asks."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; a look under way is not waited for."""
        self._stop.set()

    def look(self) -> None:
        """Look once, and tell the numbers. Raises Fatal: what is wrong with the cluster."""
        self._numbers.room_seen(_room(self._state))
        with connected(self._connection) as cluster:
            self._count_if_due(cluster.client, backing(cluster).write)
        self._numbers.cluster_seen(None)

    def _count_if_due(self, client: Elasticsearch, index: str) -> None:
        if time.monotonic() - self._counted >= FIELDS_EVERY:
            self._counted = time.monotonic()
            self._numbers.fields_counted(_count(client, index))


def _count(client: Elasticsearch, index: str) -> Fields | None:
    """None if that may not be asked."""
    try:
        found = fields(client, index)
    except elasticsearch.AuthorizationException:
        return None
    return Fields(found.mapped, found.limit)


def _room(directory: Path) -> int | None:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
