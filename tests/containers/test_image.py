"""The image itself: what it says of itself, what is in it, and what is not."""

import re
import subprocess

import orjson
import pytest

import indexer
from tests.containers.stack import Stack, docker
from tests.containers.wheels import REPOSITORY

MEGABYTE = 1_000_000
TOOLS = "gcc cc c++ ld make pip pip3 uv hatch git curl wget"


def inside(stack: Stack, script: str) -> str:
    """What a shell in the image says, as root, who sees everything."""
    return docker("run", "--rm", "--user=0:0", "--entrypoint=sh", stack.images.indexer, "-c", script).stdout


def layers(image: str) -> list[str]:
    """The checksums of an image's layers, from the base up."""
    found: list[str] = orjson.loads(docker("inspect", "--format", "{{json .RootFS.Layers}}", image).stdout)
    return found


def test_it_says_what_it_is(stack: Stack) -> None:
    """Title, version, revision and licence are labels; the version is that of the program."""
    config = orjson.loads(docker("inspect", "--format", "{{json .Config}}", stack.images.indexer).stdout)
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert labels["title"] == "zoomdata-indexer"
    assert labels["version"] == indexer.__version__
    assert labels["revision"] == "tested"
    assert labels["licenses"] == "MIT"
    assert config["User"] == "10001:10001"
    assert config["Volumes"].keys() == {"/logs", "/state"}
    assert config["Entrypoint"] + config["Cmd"] == ["indexer", "run"]
    said = docker("run", "--rm", stack.images.indexer, "--version").stdout
    assert said == f"indexer {indexer.__version__}\n"


def test_nothing_in_it_builds_or_installs(stack: Stack) -> None:
    """No compiler, no build tool, and nothing that could fetch one."""
    assert inside(stack, f"for tool in {TOOLS}; do command -v $tool; done; true") == ""
    for python in ("/opt/indexer/bin/python", "python3"):
        for module in ("pip", "ensurepip", "hatchling", "setuptools"):
            program = (
                f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is not None)"
            )
            assert inside(stack, f'{python} -c "{program}" && echo none') == "none\n", (python, module)


def test_it_holds_no_secret_and_no_address(stack: Stack) -> None:
    """Neither its files nor its history know a password, a registry, or where it was built."""
    history = docker("history", "--no-trunc", stack.images.indexer).stdout
    config = docker("inspect", stack.images.indexer).stdout
    known = (history + config).replace("http://127.0.0.1", "")  # where its own health is asked for
    assert not re.search(r"://|index-url|token|passw", known, re.IGNORECASE)
    assert (
        inside(stack, "find / -xdev -name direct_url.json -o -name 'pip.conf' -o -name .netrc -o -name .git")
        == ""
    )
    assert inside(stack, "ls /source /wheels /pip /built 2>/dev/null; true") == ""
    assert inside(stack, "find / -xdev -name '*.key' -o -xdev -name 'id_*'") == ""


def test_it_makes_keys(stack: Stack) -> None:
    """It has what signatures need; the private key is readable for the container's user alone."""
    script = "cd /state && indexer seal key key >/dev/null && stat -c '%a %u' key && cat key.pub"
    made = docker("run", "--rm", "--read-only", "--entrypoint=sh", stack.images.indexer, "-c", script).stdout
    rights, public = made.splitlines()
    assert rights == "600 10001"
    assert re.fullmatch(r"zoomdata-indexer/[0-9a-f]{8}\+[0-9a-f]{8}\+\S+", public)


def test_it_is_small(stack: Stack) -> None:
    """What is ours, above the base, takes less than 70 MB."""
    whole, base = (
        int(docker("inspect", "--format", "{{.Size}}", name).stdout)
        for name in (stack.images.indexer, stack.base)
    )
    assert whole - base < 70 * MEGABYTE


@pytest.mark.timeout(300)
def test_it_is_built_twice_alike(stack: Stack) -> None:
    """Built anew from the same files, its own layers have the same checksums, byte for byte and date for date."""
    name = f"{stack.images.indexer}-again"
    build = ["docker", "build", "--quiet", "--no-cache", "--file", "compose/Dockerfile", "--tag", name]
    subprocess.run(
        [*build, "--build-arg", f"BASE={stack.base}", "."], cwd=REPOSITORY, check=True, capture_output=True
    )
    ours = len(layers(stack.base)) + 1  # between them, the files that were taken off the base
    assert layers(name)[ours:] == layers(stack.images.indexer)[ours:]
    assert len(layers(name)[ours:]) == 2
    docker("rmi", name)
