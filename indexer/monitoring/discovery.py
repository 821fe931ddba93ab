"""Finds the indexer that runs with a state directory: `monitoring.json` there contains its address.

address    URL at which this machine reaches it
instance   identifies the process: `/status` has to return the same value, because another program may have taken the port

The file is written when `indexer run` begins to serve its monitoring, and removed when it stops. A crash leaves it behind.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from indexer.elastic.bounded import Bare
from indexer.elastic.failures import FORM_ERRORS
from indexer.events import LogProgress, Totals
from indexer.monitoring.sealing import Sealing
from indexer.writing.checkpoint import write_durably

NAME = "monitoring.json"
TIMEOUT = 2.0
"""Seconds to wait for an answer, which comes from this machine."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """The content of `monitoring.json`."""

    address: str
    instance: str


@dataclass(frozen=True, slots=True)
class RunningIndexer:
    """The state of a running indexer, as its `/status` page gives it. Times in seconds."""

    process: int
    address: str
    version: str
    uptime: float
    ready: bool
    problems: tuple[str, ...]
    totals: Totals | None
    """Lines since the state directory was created; None until the indexer is connected."""
    retries: int
    batches: int
    bytes: int
    """Bytes in flight."""
    acknowledged: float | None
    """Since the last acknowledged batch."""
    checkpoint: float | None
    """Since the last written checkpoint."""
    logs: Mapping[str, LogProgress]
    """By path."""
    sealing: Sealing | None = None
    """None if sealing is off."""


def announce(state: Path, address: str, instance: str) -> None:
    """Write `monitoring.json`. Raises OSError."""
    content = orjson.dumps(Announcement(address, instance), option=orjson.OPT_APPEND_NEWLINE)
    write_durably(state / NAME, content)


def withdraw(state: Path) -> None:
    """Remove `monitoring.json`. Raises OSError."""
    (state / NAME).unlink(missing_ok=True)


def announced(state: Path) -> Announcement | None:
    """Read `monitoring.json`; None if it does not exist or cannot be read."""
    try:
        content = orjson.loads((state / NAME).read_bytes())
        return Announcement(content["address"], content["instance"])
    except (OSError, *FORM_ERRORS):
        return None


def ask(state: Path) -> RunningIndexer | None:
    """Ask the indexer that runs with this state directory; None if none is announced, or it does not answer."""
    it = announced(state)
    if it is None:
        return None
    try:
        page = _get(it.address + "/status")
        return _read(it.address, page) if page["instance"] == it.instance else None
    except (OSError, http.client.HTTPException, *FORM_ERRORS):
        return None


def _get(url: str) -> Any:
    """Without urllib, which would use a proxy of the environment. Raises OSError, HTTPException, ValueError."""
    where = urlsplit(url)
    connection = Bare(str(where.hostname), where.port, timeout=TIMEOUT)
    try:
        connection.request("GET", where.path)
        return orjson.loads(connection.getresponse().read())
    finally:
        connection.close()


def _read(address: str, page: Mapping[str, Any]) -> RunningIndexer:
    now, health = page["now"], page["health"]
    ever = now["ever"]
    return RunningIndexer(
        process=now["process"],
        address=address,
        version=now["version"],
        uptime=now["uptime"],
        ready=health["ready"],
        problems=tuple(problem["sentence"] for problem in health["problems"]),
        totals=Totals(**{item.name: ever[item.name] for item in fields(Totals)}) if ever else None,
        retries=sum(now["retries"].values()),
        batches=now["in_flight"]["batches"],
        bytes=now["in_flight"]["bytes"],
        acknowledged=now["acknowledged"],
        checkpoint=now["checkpoint_age"],
        logs={log["path"]: _log(log) for log in now["logs"]},
        sealing=Sealing(**sealing) if (sealing := now.get("sealing")) else None,
    )


def _log(log: Mapping[str, Any]) -> LogProgress:
    return LogProgress(
        log["path"],
        (0, 0, 0),
        copy=log["copy"],
        size=log["size"],
        delivered=log["delivered"],
        lag=log["lag"],
        lag_seconds=log["lag_seconds"],
    )
