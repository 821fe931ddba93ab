"""Containers that are set up wrongly, or find files that are not theirs."""

import secrets
import time
from collections.abc import Callable, Iterator

import orjson
import pytest
import yaml

from tests.containers.stack import HARDENED, Stack, docker, until
from tests.containers.wheels import REPOSITORY

Volume = Callable[[str], str]


@pytest.fixture
def volume(stack: Stack) -> Iterator[Volume]:
    """Makes a volume, root's own as to its owner, and lets a shell do something in it."""
    made = []

    def make(script: str) -> str:
        name = f"{stack.project}-{secrets.token_hex(4)}"
        made.append(name)
        docker("run", "--rm", f"--volume={name}:/here", "--workdir=/here", stack.base, "sh", "-ec", script)
        return name

    yield make
    docker("volume", "rm", *made)


@pytest.mark.parametrize(
    ("variables", "code", "sentence"),
    [
        ({"INDEXER_SENDERS": "many"}, 2, "--senders"),
        ({"INDEXER_ELASTICSEARCH_URL": "elasticsearch:9200"}, 2, "elasticsearch:9200"),
        ({"INDEXER_PASSWORD_FILE": "/run/secrets/none"}, 1, "/run/secrets/none: No such file"),
        ({"INDEXER_CA_CERTS": "/run/secrets/writer"}, 1, "/run/secrets/writer"),
        ({"INDEXER_API_KEY": "k"}, 2, "API key"),
        ({"INDEXER_STATE_DIR": "/proc/state"}, 1, "Cannot use the state directory /proc/state"),
        ({"INDEXER_MONITORING_ADDRESS": "9464"}, 2, "'9464' is not HOST:PORT"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_said(stack: Stack, variables: dict[str, str], code: int, sentence: str) -> None:
    """It ends at once, with an exit code that says whose fault it is and a sentence that says which."""
    ended = stack.alone("run", variables=variables)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert sentence in " ".join(ended.stderr.replace("│", " ").split())
    assert "Traceback" not in ended.stderr


def test_the_image_has_what_a_sidecar_runs_before_its_stop(stack: Stack) -> None:
    """The hook of kubernetes-sidecar.yaml, without its seconds."""
    patch = yaml.safe_load((REPOSITORY / "compose/kubernetes-sidecar.yaml").read_text())
    (sidecar,) = patch["spec"]["template"]["spec"]["initContainers"]
    program, seconds = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    assert float(seconds) < 5  # of the thirty that the pod has
    docker("run", "--rm", *HARDENED, f"--entrypoint={program}", stack.images.indexer, "0")


def test_no_storm_of_restarts(stack: Stack) -> None:
    """An indexer that cannot start is started again later and later: five times take more than three seconds."""
    began = time.monotonic()
    options = ("--detach", "--restart=unless-stopped", "--env=INDEXER_SENDERS=many")
    container = docker("run", *options, *HARDENED, stack.images.indexer).stdout.strip()
    try:
        count = "{{.RestartCount}}"
        until(lambda: int(docker("inspect", "--format", count, container).stdout) >= 5)
        assert time.monotonic() - began > 0.1 + 0.2 + 0.4 + 0.8 + 1.6
    finally:
        docker("rm", "--force", "--volumes", container)


def test_a_log_volume_that_is_not_ours(stack: Stack, volume: Volume) -> None:
    """Logs that root owns and the indexer may only read are indexed."""
    until(stack.ready)
    logs = volume(
        """echo '{"eventDate":"2026-05-11 06:30:00.000","of":"elsewhere"}' >zoomdata-activity.log; chmod 755 ."""
    )
    ended = stack.alone("run", "--once", options=(f"--volume={logs}:/logs",))
    assert (ended.returncode, ended.stderr.count("cannot be read")) == (0, 0), ended.stderr
    assert "1 lines read: 1 created" in ended.stdout


def test_a_log_that_may_not_be_read(stack: Stack, volume: Volume) -> None:
    """It is named, with what is wrong; the exit code is 1."""
    until(stack.ready)
    logs = volume("echo '{}' >zoomdata-activity.log; chmod 600 zoomdata-activity.log")
    ended = stack.alone("run", "--once", options=(f"--volume={logs}:/logs",))
    assert ended.returncode == 1
    assert "Cannot read /logs/zoomdata-activity.log: Permission denied" in ended.stderr


def test_a_state_volume_that_is_not_ours(stack: Stack, volume: Volume) -> None:
    """A state directory that cannot be written to is an error at once."""
    until(stack.ready)
    ended = stack.alone(
        "run",
        options=(f"--volume={volume('chmod 755 .; chown 0:0 .')}:/state/of/root",),
        variables={"INDEXER_STATE_DIR": "/state/of/root"},
    )
    assert ended.returncode == 1
    assert "Cannot use the state directory /state/of/root: Permission denied" in ended.stderr


def test_a_right_setting_is_found_right(stack: Stack) -> None:
    """`indexer check` in the running container finds no fault, and no lifecycle management in this server."""
    until(stack.ready)
    found = orjson.loads(docker("exec", stack.container("indexer"), "indexer", "check", "--json").stdout)
    assert found["fine"] is True
    assert {finding["topic"] for finding in found["findings"] if finding["cure"]} == {"lifecycle"}
