"""`indexer demo`: starts a server, indexes, seals and verifies a sample log, and shows what is in it."""

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from indexer.demo import sample
from indexer.demo.embedded import Embedded
from indexer.demo.installation import NEWEST
from indexer.demo.profiles import Profile
from indexer.demo.sealing import new_key, show_seals
from indexer.elastic.cluster import connected
from indexer.elastic.server import Product
from indexer.events import Events
from indexer.report.queries import Period
from indexer.report.report import ExtraMissing, available, write
from indexer.run import RunOptions, run
from indexer.settings import Connection, Delivery, LogFiles, Seals, State
from indexer.setup.templates import install
from indexer.show import Tabular
from indexer.status.summary import summarise
from indexer.verify.log_files import Verifier
from indexer.writing.replay import listing


def demonstrate(
    entries: int,
    profile: Profile,
    product: Product,
    *,
    keep: bool,
    say: Callable[[str], None],
    show: Callable[[Tabular], None],
    progress: Callable[[Sequence[str]], AbstractContextManager[Events]],
) -> None:
    """Run the demo on the newest tested version of a product; `keep` leaves the server running. Raises Fatal."""
    server = Embedded(NEWEST[product], on_step=say)
    started = time.monotonic()
    with server:
        say(f"{product} {server.version} is ready at {server.url} after {time.monotonic() - started:.0f} s.")
        connection = Connection(elasticsearch_url=[server.url])
        _install(connection, say)
        log = server.directory / "demo" / "zoomdata-activity.log"
        log.parent.mkdir()
        sample.write(log, entries, end=datetime.now(UTC), among=sample.broken(), profile=profile)
        say(
            f"A sample log ({profile}), one week of a fictitious company: {log} ({log.stat().st_size / 1e6:.0f} MB)."
        )
        state = State(state_dir=log.parent / "state")
        seals = new_key(log.parent, say)
        _index(str(log), connection, state, seals, say, progress)
        _verify(str(log), connection, state, say, show)
        show_seals(log, connection, state, seals, say)
        show(listing(connection, state, limit=10))
        with connected(connection) as cluster:
            cluster.client.indices.refresh(index=connection.alias)
            show(summarise(cluster.client, cluster.alias))
        _report(connection, say)
        if keep:
            _keep(server, str(log), say)
        else:
            say("The server is stopped; `indexer demo --keep` leaves it running. To use your own cluster:")
            say("  export INDEXER_ELASTICSEARCH_URL=http://localhost:9200")
            _next_commands("/opt/zoomdata/logs", say)


def _install(connection: Connection, say: Callable[[str], None]) -> None:
    with connected(connection) as cluster:
        for outcome in install(cluster):
            say(f"  {outcome.result:<10} {outcome.what}" + (f": {outcome.detail}" if outcome.detail else ""))


def _index(
    log: str,
    connection: Connection,
    state: State,
    seals: Seals,
    say: Callable[[str], None],
    progress: Callable[[Sequence[str]], AbstractContextManager[Events]],
) -> None:
    started = time.monotonic()
    with progress([log]) as listener:
        options = RunOptions(LogFiles([log]), connection, state, once=True, seals=seals)
        totals = run(options, listener, threading.Event()).totals
    seconds = time.monotonic() - started
    say(
        f"{totals.created:,} of {totals.read:,} lines indexed in {seconds:.1f} s; {totals.rejected:,} rejected lines (dead letters)."
    )


def _verify(
    log: str,
    connection: Connection,
    state: State,
    say: Callable[[str], None],
    show: Callable[[Tabular], None],
) -> None:
    started = time.monotonic()
    result = Verifier(connection, Delivery(), state, Events(), threading.Event()).verify(LogFiles([log]))
    if not result.agrees:
        show(result)
    seconds = time.monotonic() - started
    say(
        f"Verified in {seconds:.1f} s: {result.present:,} of {result.read:,} lines are indexed once and unchanged; "
        f"{result.rejected:,} are rejected lines."
    )


def _report(connection: Connection, say: Callable[[str], None]) -> None:
    """Write the report, which outlives the server."""
    if not available():
        say(f"No report: {ExtraMissing()}\n")
        return
    now = datetime.now(UTC)
    out = Path(tempfile.mkdtemp(prefix="zoomdata-")) / "report.html"
    write(connection, Period(now - timedelta(days=7), now), out)
    say(f"The report, to open in a browser: {out}\n")


def _keep(server: Embedded, log: str, say: Callable[[str], None]) -> None:
    server.keep()
    say(f"The server is still running at {server.url}. To stop it and remove its files:")
    say(f"  {server.stop_command}")
    say("To use it:")
    say(f"  export INDEXER_ELASTICSEARCH_URL={server.url}")
    _next_commands(log, say)


def _next_commands(log: str, say: Callable[[str], None]) -> None:
    say("  indexer template install          # templates, first index, alias; once per cluster")
    say(f"  indexer run {log}   # follow the log; Ctrl-C stops it")
    say("  indexer status                    # what is delivered, and what is not yet")
    say(f"  indexer verify {log}   # is every line indexed once and unchanged?")
    say("  indexer summary                   # the tables above")
