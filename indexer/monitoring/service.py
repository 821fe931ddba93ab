"""Puts monitoring together for a run: recorder, cluster probe, HTTP server, and `monitoring.json`."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.events import Broadcast, Events
from indexer.monitoring import discovery
from indexer.monitoring.cluster_probe import ClusterProbe
from indexer.monitoring.health import assess
from indexer.monitoring.http_server import Page, Pages, Server
from indexer.monitoring.metrics import exposition
from indexer.monitoring.recorder import MetricsRecorder
from indexer.monitoring.snapshot import Snapshot
from indexer.settings import Connection
from indexer.show import as_json


@contextmanager
def monitored(address: str, connection: Connection, state: Path, events: Events) -> Iterator[Events]:
    """Serve the monitoring at `address`; give the listener that feeds it and `events`. Raises CannotListen."""
    recorder = MetricsRecorder()
    probe = ClusterProbe(connection, state, recorder)
    instance = secrets.token_hex(8)
    with Server(address, pages(recorder.snapshot, instance)) as server:
        with contextlib.suppress(OSError):  # on a full disk, only `indexer status` does not find us
            discovery.announce(state, server.url, instance)
        events.serving(server.url)
        try:
            yield Broadcast(events, recorder, probe)
        finally:
            probe.close()
            with contextlib.suppress(OSError):  # then `indexer status` reports that nothing answers
                discovery.withdraw(state)


def pages(ask: Callable[[], Snapshot], instance: str) -> Pages:
    """The pages, by path."""
    expose = exposition(ask)

    def healthz(_: str) -> Page:
        health = assess(ask())
        return Page(as_json({"alive": health.alive}).encode(), status=200 if health.alive else 503)

    def readyz(_: str) -> Page:
        health = assess(ask())
        body = as_json({"ready": health.ready, "problems": health.problems})
        return Page(body.encode(), status=200 if health.ready else 503)

    def status(_: str) -> Page:
        now = ask()
        return Page(as_json({"instance": instance, "health": assess(now), "now": now}).encode())

    def metrics(accept: str) -> Page:
        return Page(*expose(accept))

    return {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz, "/status": status}
