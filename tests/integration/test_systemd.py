"""The shipped unit under a real systemd, which starts, watches and stops the indexer."""

import os
import re
import shlex
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import Lab, joined, numbered, until
from tests.support.systemd import Booted, booted

REPOSITORY = Path(__file__).parents[2]
UNIT = "zoomdata-indexer.service"
ZOOMDATA = 61001
"""The user and the group that own the logs."""
HOME = "opt/zoomdata-indexer"
PROGRAM = f"""#!/{HOME}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}
import sys
sys.path[:0] = ["/{HOME}/repository", "/{HOME}/packages"]
from indexer.cli import main
main()
"""
EDITED = """
[Service]
Environment=INDEXER_ELASTICSEARCH_URL={url} INDEXER_ALIAS={alias} INDEXER_CA_CERTS= INDEXER_MONITORING_ADDRESS=
Environment=LD_LIBRARY_PATH=/{home}/python/lib
StandardError=append:/var/log/indexer
ExecStopPost=/bin/sh -c 'echo "ended: $SERVICE_RESULT" >&2'
WatchdogSec=10
RestartSec=100ms
"""
"""What an operator writes with `systemctl edit`, and what makes the test quick."""


def prepared(lab: Lab) -> Iterator[str]:
    """The indexer of this repository, installed; the unit, its secret, and logs that a group may read."""
    # This Python may lie in root's home, which the unit hides.
    parts = {"python": sys.base_prefix, "repository": REPOSITORY, "packages": sysconfig.get_path("purelib")}
    for name, path in parts.items():
        yield f'mkdir -p "$ROOT/{HOME}/{name}"; mount --bind {shlex.quote(str(path))} "$ROOT/{HOME}/{name}"'
    yield f'printf %s {shlex.quote(PROGRAM)} > "$ROOT/usr/local/bin/indexer"'
    yield 'chmod 755 "$ROOT/usr/local/bin/indexer"'
    yield f'echo "zoomdata:x:{ZOOMDATA}:" >> "$ROOT/etc/group"'
    yield 'mkdir -p "$ROOT/opt/zoomdata/logs" "$ROOT/etc/zoomdata-indexer"'
    yield f'mount --bind {shlex.quote(str(lab.logs))} "$ROOT/opt/zoomdata/logs"'
    yield '(umask 077; echo s3cret > "$ROOT/etc/zoomdata-indexer/password")'
    yield f'cp {shlex.quote(str(REPOSITORY / "compose" / UNIT))} "$ROOT/etc/systemd/system/"'
    edited = EDITED.format(url=lab.connection.elasticsearch_url[0], alias=lab.connection.alias, home=HOME)
    yield f'mkdir "$ROOT/etc/systemd/system/{UNIT}.d"'
    yield f'printf %s {shlex.quote(edited)} > "$ROOT/etc/systemd/system/{UNIT}.d/override.conf"'


@pytest.fixture
def systemd(bare: Lab, tmp_path: Path) -> Iterator[Booted]:
    """A systemd that knows the unit. The logs are for their group only."""
    bare.log(joined(numbered(3)))
    os.chown(bare.logs, ZOOMDATA, ZOOMDATA)
    bare.logs.chmod(0o750)
    for log in bare.logs.iterdir():
        os.chown(log, ZOOMDATA, ZOOMDATA)
        log.chmod(0o640)
    scratch = tmp_path / "systemd"
    scratch.mkdir()
    with booted(scratch, list(prepared(bare))) as system:
        yield system


def test_the_unit(bare: Lab, systemd: Booted) -> None:
    """It waits for the template, delivers, is restarted when it hangs, and stops; each entry is there once."""

    def state(expected: str, *, told: str) -> bool:
        properties = systemd.show(UNIT, "ActiveState"), systemd.show(UNIT, "StatusText")
        assert properties[0] != "failed", systemd.run("cat", "/var/log/indexer", check=False)
        return properties[0] == expected and told in properties[1]

    systemd.run("systemctl", "start", "--no-block", UNIT)
    until(lambda: state("activating", told="indexer template install"))
    bare.install()
    until(lambda: state("active", told=bare.connection.alias))
    until(lambda: len(bare.hits()) == 3)

    process = systemd.show(UNIT, "MainPID")
    status = dict(
        line.split(":\t", 1)
        for line in systemd.run("cat", f"/proc/{process}/status").splitlines()
        if ":\t" in line
    )
    assert 61184 <= int(status["Uid"].split()[0]) <= 65519  # of a user that systemd made
    assert (status["CapEff"].strip("0"), status["NoNewPrivs"], status["Seccomp"]) == ("", "1", "2")
    assert str(ZOOMDATA) in status["Groups"].split()

    sign = systemd.show(UNIT, "WatchdogTimestampMonotonic")
    until(lambda: systemd.show(UNIT, "WatchdogTimestampMonotonic") != sign)
    assert systemd.show(UNIT, "NRestarts") == "0"

    systemd.run("kill", "-STOP", process)
    bare.append(numbered(2, start=3))
    until(lambda: systemd.show(UNIT, "NRestarts") == "1")
    until(lambda: state("active", told=bare.connection.alias))
    until(lambda: len(bare.hits()) == 5)
    assert bare.numbers() == [0, 1, 2, 3, 4]

    systemd.run("systemctl", "stop", UNIT)
    assert (systemd.show(UNIT, "ActiveState"), systemd.show(UNIT, "Result")) == ("inactive", "success")
    log = systemd.run("cat", "/var/log/indexer")
    assert re.findall("ended: (.*)", log) == ["watchdog", "success"]
    assert log.count('"event": "stopped"') == 1
