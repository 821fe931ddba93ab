"""The Docker engine that all container tests need; where there is none, this is the one test that is skipped."""

from tests.containers.stack import docker


def test_containers_can_be_tested(base: str) -> None:
    """There is an engine, and an image with a Python that the indexer runs on."""
    program = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    docker("run", "--rm", "--network=none", base, "python3", "-c", program)
