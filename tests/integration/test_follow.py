"""`indexer run`: following logs while they are written, rotated and not there yet, and ending in good order."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog.testing

from indexer import monitoring, run
from indexer.settings import Connection
from tests.support.http_server import address, relaying, serving
from tests.support.lab import LOG, Lab, joined, numbered, until

SEED = 20260511


@contextmanager
def writing(path: Path, lines: list[bytes], rotate_at: int = 1 << 62) -> Iterator[threading.Thread]:
    """Append lines in a thread, in synced chunks that are cut anywhere; rename the log each `rotate_at` bytes."""

    def write() -> None:
        chance = random.Random(SEED)
        content = joined(lines)
        rotations = 0
        while content:
            cut = content.find(b"\n", rotate_at) + 1 or len(content)
            with path.open("ab", buffering=0) as file:
                part, content = content[:cut], content[cut:]
                while part:
                    size = chance.randint(1, 5000)
                    file.write(part[:size])
                    os.fsync(file.fileno())
                    part = part[size:]
            if content:
                rotations += 1
                path.rename(path.with_name(f"{path.name}.{rotations}"))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_what_is_appended_is_indexed_once(lab: Lab) -> None:
    """Whatever the chunks in which it is written, each line arrives whole and once."""
    lines = numbered(3000)
    log = lab.log(b"")
    with lab.following() as following, writing(log, lines):
        following.until_created(len(lines))
    assert lab.numbers() == list(range(3000))
    assert following.report is not None
    assert following.report.totals.read == following.report.totals.created == 3000


def test_rotation_by_renaming_loses_and_repeats_nothing(lab: Lab) -> None:
    """A log that is renamed while it is written is read to its end, and so is the one that takes its place."""
    lines = numbered(3000)
    with lab.following() as following, writing(lab.logs / LOG, lines, rotate_at=40_000):
        following.until_created(len(lines))
    assert lab.numbers() == list(range(3000))
    assert len(list(lab.logs.iterdir())) > 3


def test_a_log_deleted_while_it_is_read_is_read_to_its_end(lab: Lab) -> None:
    """What was written before the deletion arrives."""
    log = lab.log(joined(numbered(10)))
    with lab.following() as following:
        following.until_created(10)
        with log.open("ab") as file:
            log.unlink()
            file.write(joined(numbered(10, start=10)))
        following.until_created(20)
    assert lab.numbers() == list(range(20))


def test_a_copied_and_truncated_log_begins_anew(lab: Lab) -> None:
    """What is written after the truncation arrives, the copy sends nothing again."""
    log = lab.log(joined(numbered(50)))
    with lab.following() as following:
        following.until_created(50)
        (lab.logs / (LOG + ".1")).write_bytes(log.read_bytes())
        os.truncate(log, 0)
        lab.append(numbered(5, start=50))
        following.until_created(55)
    assert lab.numbers() == list(range(55))


def test_an_unfinished_line_waits_for_its_end(lab: Lab) -> None:
    """It is not torn in two, however long its second half takes."""
    log = lab.log(b'{"n":0}\n{"n"')
    with lab.following() as following:
        following.until_created(1)
        with log.open("ab") as file:
            file.write(b':1}\n{"n":2}\n')
        following.until_created(3)
    assert lab.numbers() == [0, 1, 2]


@pytest.mark.parametrize("name", ["", LOG, "*.log"], ids=["directory", "file", "glob"])
def test_it_may_be_started_before_the_log_is_there(lab: Lab, name: str) -> None:
    """The file, and even its directory, may come later."""
    home = lab.logs / "later"
    with lab.following(home / name) as following:
        home.mkdir()
        (home / LOG).write_bytes(joined(numbered(5)))
        following.until_created(5)
    assert lab.numbers() == list(range(5))


def test_it_goes_on_where_it_stopped(lab: Lab) -> None:
    """What is written between two runs arrives, and what was delivered is not sent again."""
    log = lab.log(joined(numbered(10)))
    with lab.following() as following:
        following.until_created(10)
    log.rename(lab.logs / (LOG + ".1"))
    lab.log(joined(numbered(10, start=10)))
    with lab.following() as again:
        again.until_created(10)
    assert again.heard.totals.duplicates == 0
    assert lab.numbers() == list(range(20))


def test_it_waits_for_the_template_and_says_so_once(bare: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks again and again, and begins by itself when the template is there."""
    monkeypatch.setattr(run, "PROBE_EVERY", 0.01)
    log = structlog.testing.CapturingLogger()
    bare.log(joined(numbered(5)))
    with bare.following(listeners=[monitoring.Logs(log)]) as following:
        following.until(lambda: len(following.heard.of("waiting")) > 10)
        said = [call for call in log.calls if call.method_name == "warning"]
        bare.install()
        following.until_created(5)
    assert len(said) == 1
    assert "indexer template install" in said[0].args[0]
    assert bare.numbers() == list(range(5))


def test_it_waits_for_the_server(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started before Elasticsearch is, it begins by itself when that answers."""
    monkeypatch.setattr(run, "PROBE_EVERY", 0.01)
    lab.log(joined(numbered(5)))
    with serving(relaying(lab.connection.elasticsearch_url[0]), listening=False) as relay:
        late = Connection(elasticsearch_url=[address(relay)], alias=lab.connection.alias)
        with Lab(late, lab.client, lab.logs, lab.state).following() as following:
            following.until(lambda: len(following.heard.of("waiting")) > 3)
            relay.server_activate()
            following.until_created(5)
    (sentence,) = {facts[0] for facts in following.heard.of("waiting")}
    assert "No answer from the server" in sentence
    assert lab.numbers() == list(range(5))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_in_good_order(lab: Lab, number: signal.Signals) -> None:
    """All that was read is delivered and remembered, and the exit code is 0."""
    log = lab.log(joined(numbered(2000)))
    with lab.process("run", lab.logs) as process:
        until(lambda: lab.client.count(index=lab.connection.alias)["count"] or lab.hits())
        process.send_signal(number)
        _, stderr = process.communicate(timeout=15)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    delivered = len(lab.hits())
    assert lab.run(log).totals.read == 2000 - delivered
    assert lab.numbers() == list(range(2000))


def test_a_signal_ends_it_while_it_waits(bare: Lab) -> None:
    """Waiting for a template is no reason to stay."""
    bare.log(joined(numbered(5)))
    with bare.process("run", bare.logs) as process:
        assert process.stderr is not None
        assert "indexer template install" in process.stderr.readline()
        process.terminate()
        assert process.wait(timeout=10) == 0
