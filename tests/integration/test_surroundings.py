"""Bad surroundings: one sentence on standard error, the right exit code, nothing lost."""

import ctypes
import gzip
import json
import os
import resource
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.elastic.client import connect
from indexer.settings import Connection, State
from tests.support.http_server import address, always, serving
from tests.support.lab import LOG, Lab, joined, numbered

Completed = subprocess.CompletedProcess[str]


def said(done: Completed, code: int = 1) -> str:
    """The one sentence with which a command failed; all else it may have said are log lines."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    sentences = [line for line in lines if line.startswith("indexer: ")]
    assert lines[-1:] == sentences
    assert all(json.loads(line)["event"] for line in lines[:-1])
    return sentences[0]


def without_root() -> None:
    """Give up, in a child, root's right to read and write what it may not; for others there is none to give up."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def without_disk() -> None:
    """Let a child write no byte to any file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.fixture
def log(lab: Lab) -> Path:
    """A log of ten entries."""
    return lab.log(joined(numbered(10)))


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


NEEDING_A_SERVER = ["run --once", "template install", "summary", "rejected list", "rejected replay"]


@pytest.fixture
def away(tmp_path: Path) -> Lab:
    """A laboratory far from any server, with a log of ten entries."""
    nowhere = Connection(alias="away-activity")
    lab = Lab(nowhere, connect(nowhere), tmp_path, State(tmp_path / "state"))
    lab.log(joined(numbered(10)))
    return lab


def at(lab: Lab, url: str, command: str, **environment: str) -> str:
    """What a command says that fails at an address."""
    paths = [lab.logs / LOG] if "run" in command else []
    return said(lab.command(*command.split(), "--elasticsearch-url", url, *paths, environment=environment))


@pytest.mark.parametrize("command", NEEDING_A_SERVER)
def test_no_server(away: Lab, refusing: str, command: str) -> None:
    """Each command that needs one says at which address none answers."""
    assert f"No answer from the server at {refusing}" in at(away, refusing, command)


@pytest.mark.parametrize("command", NEEDING_A_SERVER)
@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [(200, "text/html", b"<html>Hello</html>"), (404, "text/html", b"<html>Not here</html>")],
    ids=["page", "page not found"],
)
def test_another_server(away: Lab, status: int, kind: str, body: bytes, command: str) -> None:
    """A server that is neither Elasticsearch nor OpenSearch is named as such."""
    with serving(always(status, body, content_type=kind)) as other:
        sentence = at(away, address(other), command)
    assert f"What answers at {address(other)} is neither Elasticsearch nor OpenSearch" in sentence


@pytest.mark.parametrize(
    ("status", "body"),
    [(302, b""), (200, b'{"name":"other"}'), (404, b'{"error":"no such page"}'), (200, b"")],
    ids=["redirect", "JSON", "JSON error", "nothing"],
)
def test_another_kind_of_server(away: Lab, status: int, body: bytes) -> None:
    """Whatever its answer looks like."""
    with serving(always(status, body, content_type="application/json", location="/login")) as other:
        assert "is neither Elasticsearch nor OpenSearch" in at(away, address(other), "run --once")


def test_a_port_that_speaks_something_else(away: Lab) -> None:
    """A server that closes the connection without an answer in HTTP is no server."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        where = ["--elasticsearch-url", f"http://127.0.0.1:{port}"]
        with away.process("run", "--once", *where, away.logs / LOG) as process:
            connected, _ = mute.accept()
            connected.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connected.close()
            stdout, stderr = process.communicate(timeout=30)
    done = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    assert f"http://127.0.0.1:{port}" in said(done)


@pytest.mark.parametrize("command", NEEDING_A_SERVER)
def test_wrong_credentials(away: Lab, command: str) -> None:
    """The sentence names the user and the option. A fake answers 401: the server of these tests has no users."""
    body = (
        b'{"error":{"type":"security_exception","reason":"unable to authenticate user [ann]"},"status":401}'
    )
    headers = {"content_type": "application/json", "X_Elastic_Product": "Elasticsearch"}
    with serving(always(401, body, **headers)) as strict:
        sentence = at(away, address(strict), command, INDEXER_USERNAME="ann", INDEXER_PASSWORD="hunter2")
    assert "does not accept user 'ann': unable to authenticate user [ann]" in sentence
    assert "INDEXER_PASSWORD" in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize("url", ["localhost", "ftp://localhost", "ftp://localhost:9200", "http://", ""])
def test_an_invalid_address(away: Lab, url: str) -> None:
    """What is no URL is wrong usage, said with the option's name."""
    done = away.command("run", "--once", "--elasticsearch-url", url, away.logs / LOG)
    assert f"{url!r} is not a valid address of Elasticsearch. Give --elasticsearch-url" in said(done, 2)


@pytest.mark.parametrize(
    "command", [["run"], ["run", "--once"], ["template", "install"], ["verify"]], ids=" ".join
)
def test_a_service_that_answers_before_it_indexes(away: Lab, command: list[str]) -> None:
    """Is refused before anything is sent to it."""
    where = ["--elasticsearch-url", "https://abc123.ingest.us-east-1.aws.elastic.cloud/_es"]
    paths = [] if "template" in command else [away.logs / LOG]
    assert "acknowledges before it indexes" in said(away.command(*command, *where, *paths), 2)


@pytest.mark.parametrize(
    "path", ["missing.log", "missing/", "*.gone", "empty"], ids=["file", "directory", "glob", "no log in it"]
)
def test_no_log(away: Lab, path: str) -> None:
    """A path that names nothing, and a directory without a log in it."""
    (away.logs / "empty").mkdir()
    assert f"No log file at {away.logs / path}." in said(away.command("run", "--once", away.logs / path))


def test_a_missing_secret_file(away: Lab) -> None:
    """The file is named."""
    done = away.command("run", "--once", "--api-key-file", away.logs / "none", away.logs / LOG)
    assert f"Cannot use the secret in {away.logs / 'none'}: No such file" in said(done)


def test_a_log_that_may_not_be_read(lab: Lab, log: Path) -> None:
    """It is named, the others are indexed, and it is indexed once it may be read."""
    closed = lab.log(joined(numbered(10, start=10)), "query-engine-activity.log")
    closed.chmod(0)
    done = lab.command("run", "--once", lab.logs, preexec_fn=without_root)
    assert f"Cannot read {closed}: Permission denied" in said(done)
    assert lab.numbers() == list(range(10))
    closed.chmod(0o600)
    lab.run(lab.logs)
    assert lab.numbers() == list(range(20))


def test_a_cut_archive_is_a_failure(lab: Lab) -> None:
    """It is named with the reason, and the exit code is 1."""
    archive = lab.log(gzip.compress(joined(numbered(10)))[:-4], LOG + ".1.gz")
    assert f"Cannot read {archive}: the archive is cut short" in said(lab.command("run", "--once", archive))


SPOILT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "half": (lambda archive: archive[: len(archive) // 2], "the archive is cut short"),
    "no-end": (lambda archive: archive[:-4], "the archive is cut short"),
    "no-data": (lambda archive: archive[:5], "the archive is cut short"),
    "wrong-checksum": (lambda archive: archive[:-8] + b"\0" * 8, "not a sound gzip archive"),
    "no-gzip": (lambda _: b"PK\3\4\n", "compressed with zip"),
}


def test_damaged_archives_are_indexed_once_they_are_whole(lab: Lab) -> None:
    """Each is reported with its reason, none keeps the others back, and nothing is there twice in the end."""
    whole = {
        lab.logs / f"{name}-activity.log.gz": gzip.compress(joined(numbered(500, start=500 * number)))
        for number, name in enumerate(SPOILT)
    }
    for (path, archive), (spoil, _) in zip(whole.items(), SPOILT.values(), strict=True):
        path.write_bytes(spoil(archive))
    lab.log(joined(numbered(1, start=9000)))
    unreadable = lab.run().unreadable
    expected = {str(path): reason for path, (_, reason) in zip(whole, SPOILT.values(), strict=True)}
    assert {path: expected[path] in reason for path, reason in unreadable.items()} == dict.fromkeys(
        expected, True
    )
    assert 9000 in lab.numbers()
    for path, archive in whole.items():
        path.write_bytes(archive)
    assert lab.run().unreadable == {}
    assert lab.numbers() == [*range(500 * len(SPOILT)), 9000]


def test_no_template(bare: Lab) -> None:
    """The command to run is named, and no index is made by mistake."""
    done = bare.command("run", "--once", bare.log(joined(numbered(3))))
    assert "`indexer template install`" in said(done)
    assert not bare.client.indices.exists(index=bare.connection.alias)


@pytest.mark.parametrize("arguments", [["run", "--once"], ["template", "install"]], ids=" ".join)
def test_an_index_where_the_alias_should_be(bare: Lab, arguments: list[str]) -> None:
    """It is not written to, and left as it is."""
    bare.client.indices.create(index=bare.connection.alias)
    paths = [bare.log(joined(numbered(3)))] if "run" in arguments else []
    assert "is an index, and has to be an alias" in said(bare.command(*arguments, *paths))
    assert bare.client.count(index=bare.connection.alias)["count"] == 0


def test_a_state_directory_that_is_a_file(lab: Lab, log: Path) -> None:
    """The directory is named, and the option."""
    lab.state.state_dir.write_bytes(b"")
    sentence = said(lab.command("run", "--once", log))
    assert f"Cannot use the state directory {lab.state.state_dir}" in sentence
    assert lab.hits() == []


def test_a_state_directory_that_may_not_be_written(lab: Lab, log: Path) -> None:
    """Nothing is sent that could not be remembered."""
    lab.state.state_dir.mkdir(mode=0o500)
    done = lab.command("run", "--once", log, preexec_fn=without_root)
    assert f"Cannot use the state directory {lab.state.state_dir}: Permission denied" in said(done)
    assert lab.hits() == []


def test_a_full_disk(lab: Lab, log: Path) -> None:
    """All is delivered, the failed checkpoint is reported, and the next run doubles nothing."""
    done = lab.command("run", "--once", log, preexec_fn=without_disk)
    assert (done.returncode, "checkpoint cannot be written" in done.stderr) == (0, True)
    assert lab.numbers() == list(range(10))
    assert lab.run(log).totals.duplicates == 10
    assert lab.numbers() == list(range(10))


def test_a_checkpoint_that_cannot_be_written_for_a_while(lab: Lab, log: Path) -> None:
    """The run delivers, reports the failure, and writes the checkpoint once it can."""
    lab.state.state_dir.mkdir()
    in_the_way = lab.state.state_dir / "checkpoint.json.new"
    in_the_way.mkdir()
    with lab.following(log) as following:
        following.until_created(10)
        following.until(lambda: following.heard.of("checkpoint_failed"))
        in_the_way.rmdir()
        following.until(lambda: following.heard.of("checkpoint_written"))
    ((directory, reason),) = set(following.heard.of("checkpoint_failed"))
    assert (directory, reason) == (str(lab.state.state_dir), "Is a directory")
    assert lab.numbers() == list(range(10))


def test_a_link_planted_in_a_state_directory_that_is_open_to_all(lab: Lab, log: Path) -> None:
    """A warning, and delivery as ever; what the link points to stays as it was."""
    state = lab.state.state_dir
    state.mkdir()
    state.chmod(0o777)
    precious = lab.logs / "precious"
    precious.write_bytes(b"keep me")
    (state / "checkpoint.json.new").symlink_to(precious)
    done = lab.command("run", "--once", log)
    assert (done.returncode, lab.numbers()) == (0, list(range(10)))
    assert "others may write to the state directory" in done.stderr
    assert f"{state} (drwxrwxrwx)" in done.stderr
    assert precious.read_bytes() == b"keep me"
    assert (state / "checkpoint.json").is_file()
    assert not (state / "checkpoint.json").is_symlink()


def test_a_full_disk_and_a_rejected_index_that_refuses(lab: Lab) -> None:
    """A rejected line that can be kept nowhere holds its log back until it can."""
    lab.client.indices.put_settings(index=lab.connection.rejected, settings={"index.blocks.write": True})
    kept = lab.state.state_dir / "rejected"
    lab.state.state_dir.mkdir()
    kept.write_bytes(b"in the way")
    with lab.following(lab.log(b'no entry\n{"n":0}\n')) as following:
        following.until(lambda: following.heard.of("delivery_failed"))
        assert following.heard.totals.read == 0
        kept.unlink()
        following.until_created(1)
    assert [path.read_bytes() for path in kept.glob("*.line")] == [b"no entry"]


@pytest.mark.parametrize("once", [[], ["--once"]], ids=["following", "once"])
def test_a_state_directory_in_use(lab: Lab, log: Path, once: list[str]) -> None:
    """The second indexer names the first, and touches nothing."""
    with lab.following(log) as following:
        following.until_created(10)
        sentence = said(lab.command("run", *once, log))
    assert f"is in use by process {os.getpid()}" in sentence
    assert lab.numbers() == list(range(10))


def test_a_state_of_another_alias(lab: Lab, log: Path) -> None:
    """A checkpoint is not taken for the wrong index."""
    lab.run(log)
    checkpoint = lab.state.state_dir / "checkpoint.json"
    checkpoint.write_text(checkpoint.read_text().replace(lab.connection.alias, "another"))
    assert "its checkpoint belongs to alias 'another'" in said(lab.command("run", "--once", log))


def test_a_closed_pipe_is_no_crash(lab: Lab, log: Path) -> None:
    """`indexer … | head` ends quietly."""
    lab.run(log)
    reading, writing = os.pipe()
    os.close(reading)
    done = lab.command("status", "--json", stdout=writing)
    os.close(writing)
    assert "Traceback" not in done.stderr
