"""A cluster of several nodes on this machine."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from indexer.demo.embedded import Embedded, Java


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def cluster_of(
    names: Sequence[str],
    version: str,
    *,
    settings: Mapping[str, Any] | None = None,
    parent: Path | None = None,
) -> Iterator[dict[str, Embedded]]:
    """Nodes of these names. `settings` and `parent` are those of Embedded, for each."""
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    cluster = f"cluster-{token_hex(4)}"
    with ExitStack() as stack:
        started: dict[str, Embedded] = {}
        for name, port in ports.items():
            own = {
                "cluster.name": cluster,
                "node.name": name,
                "discovery.type": None,
                "discovery.seed_hosts": [f"127.0.0.1:{other}" for other in ports.values()],
                "cluster.initial_master_nodes": list(names),
                "transport.port": port,
            }
            node = Embedded(version, settings={**own, **(settings or {})}, java=Java(heap=384), parent=parent)
            stack.callback(node.stop)
            stack.callback(node.kill)  # one that was left by the others would take its time
            node.launch()
            started[name] = node
        for node in started.values():
            node.wait()
        yield started
