"""Finds the indexer that runs with a state directory: `monitoring.json` there says where it is served.

address    URL at which this machine reaches it
instance   what its /status page has to say as well: after a crash, another program may have its port
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
from indexer.events import Totals
from indexer.writing.checkpoint import write_durably

NAME = "monitoring.json"
WITHIN = 2.0
"""Seconds for an answer; it comes from this machine."""


@dataclass(frozen=True, slots=True)
class RunningLog:
    """A log as the running indexer knows it."""

    size: int
    delivered: int
    lag: int
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class RunningIndexer:
    """What a running indexer says of itself. Spans of time in seconds."""

    process: int
    address: str
    version: str
    uptime: float
    ready: bool
    problems: tuple[str, ...]
    totals: Totals | None
    """Since the state directory began; None until it is connected."""
    retries: int
    batches: int
    bytes: int
    """Bytes on their way."""
    acknowledged: float | None
    """Since a batch was last acknowledged."""
    checkpoint: float | None
    """Since the checkpoint was last written."""
    logs: Mapping[str, RunningLog]
    """By path."""


def announce(state: Path, address: str, instance: str) -> None:
    """Write down where it is served. Raises OSError."""
    told = orjson.dumps({"address": address, "instance": instance}, option=orjson.OPT_APPEND_NEWLINE)
    write_durably(state / NAME, told)


def withdraw(state: Path) -> None:
    """It is served no more."""
    (state / NAME).unlink(missing_ok=True)


def ask(state: Path) -> RunningIndexer | None:
    """Ask the indexer that runs with this state directory; None if there is none, or none that is reached from here."""
    try:
        told = orjson.loads((state / NAME).read_bytes())
        page = _get(told["address"] + "/status")
        return _read(told["address"], page) if page["instance"] == told["instance"] else None
    except (OSError, http.client.HTTPException, *FORM_ERRORS):
        return None


def _get(url: str) -> Any:
    """Not by urllib, which would go through a proxy of the environment. Raises OSError, HTTPException, ValueError."""
    where = urlsplit(url)
    connection = Bare(str(where.hostname), where.port, timeout=WITHIN)
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
        logs={
            log["path"]: RunningLog(log["size"], log["delivered"], log["lag"], log["lag_seconds"])
            for log in now["logs"]
        },
    )
