"""The stack with compose/seals.yaml on top of it, as an operator switches sealing on."""

from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest

from tests.containers.stack import HARDENED, Stack, docker, until
from tests.containers.wheels import REPOSITORY

KEY, PUBLIC = "/run/seal.key", "/run/seal.key.pub"


@pytest.fixture(scope="module")
def sealed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with a key that the image itself has made; without it again at the end."""
    keys = tmp_path_factory.mktemp("keys")
    keys.chmod(0o777)  # the container's user makes files in it
    mounted = f"--volume={keys}:/keys"
    docker("run", "--rm", *HARDENED, mounted, stack.images.indexer, "seal", "key", "/keys/seal.key")
    with_key = replace(stack, command=(*stack.command, "--file", str(REPOSITORY / "compose/seals.yaml")))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SEAL_KEY", str(keys / "seal.key"))
        stack.compose("start", "elasticsearch", "writer")
        with_key.compose("up", "--detach", "--no-deps", "indexer")
        until(with_key.ready)
        yield with_key
    stack.compose("up", "--detach", "--no-deps", "indexer")
    docker("volume", "rm", f"{stack.project}_anchors")


def test_the_index_agrees_with_its_seals(sealed: Stack) -> None:
    """What is delivered is sealed by the secret key; who verifies has the public key, the anchors and the index alone."""
    before = sealed.metric('indexer_entries_total{result="created"}')
    until(lambda: sealed.metric('indexer_entries_total{result="created"}') >= before + 100)
    indexer = sealed.container("indexer")
    docker("exec", indexer, "indexer", "seal", "now")
    assert orjson.loads(docker("exec", indexer, "indexer", "seal", "status", "--json").stdout)["signed"] > 0
    verified = sealed.operator(
        "verify", "--seals", "--public-key", PUBLIC, "--anchor", "/anchors", "--state-dir", "/none", "--json"
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    found = orjson.loads(verified.stdout)
    assert found["agrees"] is True
    assert found["present"] >= 100


def test_the_private_key_is_for_the_indexer_alone(sealed: Stack) -> None:
    """It can read and not change it, nobody else sees it, and the state has the seals."""
    indexer = sealed.container("indexer")
    assert docker("exec", indexer, "stat", "-c", "%a %u", KEY).stdout.split() == ["600", "10001"]
    assert docker("exec", indexer, "sh", "-c", f"echo >>{KEY}", check=False).returncode != 0
    assert (
        docker("exec", indexer, "ls", "/state/seals/state.json", "/anchors").stdout.count(".checkpoints") == 1
    )
    shown = sealed.compose(
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "--entrypoint",
        "sh",
        "operator",
        "-c",
        f"ls {KEY}; cat {PUBLIC}",
        check=False,
    )
    assert shown.stdout.startswith("zoomdata-indexer/")
    assert f"{KEY}'" in shown.stderr
