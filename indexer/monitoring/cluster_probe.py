"""Checks regularly what no event reports: the cluster, the number of mapped fields, free disk space."""

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

PROBE_EVERY = 10.0
"""Seconds between probes. Without them, an indexer that has nothing to send would not notice an outage."""
FIELDS_EVERY = 60.0
"""Seconds between counts of the mapped fields: the answer is as large as the mapping."""
TIMEOUT = 4.0
"""Request timeout, in seconds."""


class ClusterProbe(Events):
    """Probes the cluster in a background thread, from the connection of the run until `close`."""

    def __init__(self, connection: Connection, state: Path, recorder: MetricsRecorder) -> None:
        within = min(connection.request_timeout, TIMEOUT)
        self._connection = replace(connection, request_timeout=within)
        self._state = state
        self._recorder = recorder
        self._stop = threading.Event()
        self._counted = float("-inf")
        self._thread = repeat("cluster-probe", self.probe, PROBE_EVERY, recorder.cluster_probed, self._stop)

    def connected(self, cluster: str | None, write_index: str) -> None:
        """Start; until then the run itself waits for the cluster."""
        self._thread.start()

    def close(self) -> None:
        """Stop, without waiting for a probe in progress."""
        self._stop.set()

    def probe(self) -> None:
        """Probe once and record the result. Raises Fatal if the cluster cannot be used."""
        self._recorder.disk_probed(_free_bytes(self._state))
        with connected(self._connection) as cluster:
            self._count_if_due(cluster.client, backing(cluster).write)
        self._recorder.cluster_probed(None)

    def _count_if_due(self, client: Elasticsearch, index: str) -> None:
        if time.monotonic() - self._counted >= FIELDS_EVERY:
            self._counted = time.monotonic()
            self._recorder.fields_counted(_count(client, index))


def _count(client: Elasticsearch, index: str) -> Fields | None:
    """None without the privilege."""
    try:
        found = fields(client, index)
    except elasticsearch.AuthorizationException:
        return None
    return Fields(found.mapped, found.limit)


def _free_bytes(directory: Path) -> int | None:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
