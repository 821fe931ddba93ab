"""`indexer demo`: all of it on one machine, step by step, each step said before it is done."""

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from indexer.demo import sample
from indexer.demo.embedded import Embedded
from indexer.elastic.cluster import connected
from indexer.events import Events
from indexer.report.queries import Period
from indexer.report.report import ExtraMissing, available, write
from indexer.run import RunOptions, run
from indexer.settings import Connection, Delivery, LogFiles, State
from indexer.setup.templates import install
from indexer.show import Tabular
from indexer.status.summary import summarise
from indexer.verify.log_files import Verifier
from indexer.writing.replay import listing


def demonstrate(
    entries: int,
    *,
    keep: bool,
    say: Callable[[str], None],
    show: Callable[[Tabular], None],
    progress: Callable[[Sequence[str]], AbstractContextManager[Events]],
) -> None:
    """Start a server, install the template, write a sample log, index and verify it, show what is in it. Raises Fatal."""
    server = Embedded(on_step=say)
    started = time.monotonic()
    with server:
        say(
            f"Elasticsearch {server.version} answers at {server.url} after {time.monotonic() - started:.0f} s."
        )
        connection = Connection(elasticsearch_url=[server.url])
        _install(connection, say)
        log = server.directory / "demo" / "zoomdata-activity.log"
        log.parent.mkdir()
        sample.write(log, entries, end=datetime.now(UTC), among=sample.broken())
        say(f"A sample log, one week of a made-up company: {log} ({log.stat().st_size / 1e6:.0f} MB).")
        state = State(state_dir=log.parent / "state")
        _index(str(log), connection, state, say, progress)
        _verify(str(log), connection, state, say, show)
        show(listing(connection, state, limit=10))
        with connected(connection) as cluster:
            cluster.client.indices.refresh(index=connection.alias)
            show(summarise(cluster.client, cluster.alias))
        _report(connection, say)
        if keep:
            _keep(server, str(log), say)
        else:
            say("The server is stopped now; `indexer demo --keep` leaves it running. With one of your own:")
            say("  export INDEXER_ELASTICSEARCH_URL=http://localhost:9200")
            _go_on("/opt/zoomdata/logs", say)


def _install(connection: Connection, say: Callable[[str], None]) -> None:
    with connected(connection) as cluster:
        for outcome in install(cluster):
            say(f"  {outcome.result:<10} {outcome.what}" + (f": {outcome.detail}" if outcome.detail else ""))


def _index(
    log: str,
    connection: Connection,
    state: State,
    say: Callable[[str], None],
    progress: Callable[[Sequence[str]], AbstractContextManager[Events]],
) -> None:
    started = time.monotonic()
    with progress([log]) as listener:
        options = RunOptions(LogFiles([log]), connection, state, once=True)
        totals = run(options, listener, threading.Event()).totals
    seconds = time.monotonic() - started
    say(
        f"{totals.created:,} of {totals.read:,} lines indexed in {seconds:.1f} s; {totals.rejected:,} are no entries, and kept apart."
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
        f"Verified in {seconds:.1f} s: {result.present:,} of {result.read:,} lines are there, unchanged, once; "
        f"{result.rejected:,} are kept apart.\n"
    )


def _report(connection: Connection, say: Callable[[str], None]) -> None:
    """Write a page that is still there when the server is not."""
    if not available():
        say(f"No pictures of it: {ExtraMissing()}\n")
        return
    now = datetime.now(UTC)
    out = Path(tempfile.mkdtemp(prefix="zoomdata-")) / "report.html"
    write(connection, Period(now - timedelta(days=7), now), out)
    say(f"The pictures of it, for a browser: {out}\n")


def _keep(server: Embedded, log: str, say: Callable[[str], None]) -> None:
    server.keep()
    say(f"The server goes on at {server.url}. To stop it, and remove all that it has written:")
    say(f"  {server.stop_command}")
    say("To go on with it:")
    say(f"  export INDEXER_ELASTICSEARCH_URL={server.url}")
    _go_on(log, say)


def _go_on(log: str, say: Callable[[str], None]) -> None:
    say("  indexer template install          # templates, first index, alias; once for each cluster")
    say(f"  indexer run {log}   # follow it; Ctrl-C ends it")
    say("  indexer status                    # what is delivered, and what is not yet")
    say(f"  indexer verify {log}   # is every line there, unchanged, once?")
    say("  indexer summary                   # the tables above")
