"""The stack of `compose/test.yaml`, started by pytest-docker; skipped where there is no engine."""

import os
import shutil
from collections.abc import Iterator

import pytest
from pytest_docker.plugin import Services

import indexer
from tests.containers import wheels
from tests.containers.parts import Secrets, make_secrets, make_server
from tests.containers.stack import Images, Stack, docker

PYTHON = "import sys; print('%d.%d' % sys.version_info[:2])"
BASE = os.environ.get("BASE", "zoomdata-indexer-base")
HINT = "no Docker engine, or no image to build on; `.ci/docker make test` provides both"
PROVIDED = bool(shutil.which("docker")) and docker("image", "inspect", BASE, check=False).returncode == 0
collect_ignore_glob = [] if PROVIDED else ["test_[!e]*.py"]  # test_engine.py says it for all of them


@pytest.fixture(scope="session")
def base() -> str:
    """The image to build on."""
    if not PROVIDED:
        pytest.skip(HINT)
    return BASE


@pytest.fixture(scope="session")
def docker_compose_command(base: str) -> str:
    """Version 2 of Compose if it is there, else version 1, as Debian has it."""
    return "docker-compose" if docker("compose", "version", check=False).returncode else "docker compose"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """What is started."""
    return str(wheels.REPOSITORY / "compose" / "test.yaml")


@pytest.fixture(scope="session")
def docker_setup(given: Secrets) -> list[str]:
    """Everything is built, then all of it is started at once."""
    return ["build --quiet", "up --detach"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    """Nothing of it stays, not even a container of a test that failed."""
    return ["down --volumes --remove-orphans --timeout 3"]


@pytest.fixture(scope="session")
def images(base: str, docker_compose_project_name: str) -> Iterator[Images]:
    """Names of images that are this run's own; what they were built of stays, so that the next run is quick."""
    names = Images(
        *(f"zoomdata-indexer-test-{what}:{docker_compose_project_name}" for what in ("run", "server"))
    )
    yield names
    docker("rmi", "--no-prune", names.indexer, names.elasticsearch, check=False)


@pytest.fixture(scope="session")
def given(base: str, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    """The secrets of this run. What compose/test.yaml is given lies in the environment meanwhile."""
    wheels.fetch(docker("run", "--rm", base, "python3", "-c", PYTHON).stdout.strip())
    parts = tmp_path_factory.mktemp("parts")
    make_server(parts)
    secrets = make_secrets(tmp_path_factory.mktemp("given") / "secrets")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BASE", base)
        environment.setenv("PARTS", str(parts))
        environment.setenv("SECRETS", str(secrets.directory))
        environment.setenv("INDEXER_IMAGE", images.indexer)
        environment.setenv("ELASTICSEARCH_IMAGE", images.elasticsearch)
        environment.setenv("VERSION", indexer.__version__)
        environment.setenv("REVISION", "tested")
        yield secrets
    shutil.rmtree(parts)


@pytest.fixture(scope="session")
def stack(
    docker_services: Services,
    docker_compose_command: str,
    docker_compose_file: str,
    docker_compose_project_name: str,
    base: str,
    images: Images,
    given: Secrets,
) -> Stack:
    """The stack, started, not necessarily ready."""
    project = ("--project-name", docker_compose_project_name, "--file", docker_compose_file)
    command = (*docker_compose_command.split(), *project)
    return Stack(command, docker_compose_project_name, images, base, given)
