"""Memory and CPU: bounded in an outage, next to nothing when idle, and little to start with many files."""

import time
from pathlib import Path

from indexer.events import Events
from indexer.reading.tail import Tail
from indexer.writing import checkpoint
from tests.support.http_server import address, relaying, serving
from tests.support.lab import LOG, Lab, joined, numbered, until

MEGABYTE = 1_000_000


def resident(pid: int) -> float:
    """Memory of a process, in megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / MEGABYTE


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def test_an_outage_in_which_the_log_grows_by_a_gigabyte_takes_no_memory(lab: Lab) -> None:
    """The log file is the only buffer."""
    block = joined([b'{"activityType":"VIS","n":%d,"payload":"%s"}' % (n, b"x" * 960) for n in range(10_000)])
    log = lab.log(joined(numbered(1)))
    with serving(relaying(lab.connection.elasticsearch_url[0])) as front:
        where = {"INDEXER_ELASTICSEARCH_URL": address(front)}
        with lab.process("run", lab.logs, environment=where) as process:
            until(lambda: lab.state.state_dir.exists() and len(lab.hits()) == 1)
            front.shutdown()
            front.server_close()
            with log.open("ab") as file:
                file.write(block)
                started = time.monotonic()
                until(lambda: time.monotonic() - started > 3)  # it reads as far ahead as it ever will
                before = resident(process.pid)
                for _ in range(100):
                    file.write(block)
            started = time.monotonic()
            until(lambda: time.monotonic() - started > 3)
            assert log.stat().st_size > 1000 * MEGABYTE
            assert resident(process.pid) < before + 10
            process.terminate()
            assert process.wait(timeout=10) == 0


def test_ten_idle_files_cost_next_to_nothing(lab: Lab) -> None:
    """Less than a hundredth of a core."""
    for number in range(10):
        lab.log(joined(numbered(10, 10 * number)), f"node{number}-activity.log")
    with lab.process("run", lab.logs) as process:
        until(lambda: len(lab.hits()) == 100)
        used, started = cpu(process.pid), time.monotonic()
        until(lambda: time.monotonic() - started > 10)
        assert cpu(process.pid) - used < 0.01 * (time.monotonic() - started)


def test_a_thousand_rotated_files_do_not_delay_the_start(lab: Lab) -> None:
    """What was read to its end is known by a glance at each; all of them together take less than two seconds."""
    for number in range(1000):
        lab.log(joined(numbered(1, number)), f"{LOG}.{number}")
    assert lab.run().totals.created == 1000
    remembered = checkpoint.read(lab.state.state_dir)
    assert remembered is not None
    tail = Tail([str(lab.logs)], remembered.files, limit=MEGABYTE, once=False, events=Events())
    started = time.thread_time()
    tail.scan()
    assert list(tail.read()) == []
    assert time.thread_time() - started < 2
