"""`compose/compose.yaml`, as far as it can be tried without Elastic's images: its form, and what sets it up."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.stack import Stack, docker
from tests.containers.wheels import REPOSITORY

COMPOSE = REPOSITORY / "compose"
UNZIP = '#!/bin/sh\nexec python3 -m zipfile -e "$2" "$4"\n'
CURL = '#!/bin/sh\nwhile [ "$1" != --config ]; do shift; done; grep -q "elastic:" "$2"; cat >>/requests/bodies; echo >>/requests/bodies\n'
RIGHTS = ("--cap-drop=ALL", "--cap-add=CHOWN", "--cap-add=DAC_OVERRIDE", "--cap-add=FOWNER")
PLACES = ("complete", "elasticsearch", "kibana", "admin", "setup", "reader", "indexer", "alerts")


@pytest.fixture
def resolved(stack: Stack, tmp_path: Path) -> dict[str, Any]:
    """The file as Compose understands it. Version 1 knows no project name in a file, but all else."""
    compose = stack.command[: stack.command.index("--project-name")]
    for each in COMPOSE.glob("*.yaml"):
        (tmp_path / each.name).write_text(each.read_text())
    file = tmp_path / "compose.yaml"
    if compose[0] == "docker-compose":
        file.write_text(file.read_text().replace("\nname: zoomdata-indexer\n", "\n"))
    text = subprocess.run(
        [*compose, "--file", str(file), "--profile", "operator", "config"],
        check=True,
        text=True,
        capture_output=True,
    )
    found: dict[str, Any] = yaml.safe_load(text.stdout)
    return found


@pytest.fixture
def volumes(stack: Stack) -> Iterator[list[str]]:
    """A volume for each place where secrets go, as options of `docker run`."""
    names = {place: f"{stack.project}-secrets-{place}" for place in PLACES}
    yield [f"--volume={name}:/secrets/{place}" for place, name in names.items()]
    docker("volume", "rm", *names.values())


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    """The two programs that Elastic's image has and ours lacks; curl only writes down what it would send."""
    for name, script in (("unzip", UNZIP), ("curl", CURL)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_the_file_is_understood(resolved: dict[str, Any]) -> None:
    """Each service is one that Compose knows how to start; Elastic's images have one exact version."""
    images = {service["image"] for service in resolved["services"].values()}
    elastic = {image for image in images if "elastic.co" in image}
    assert {image.rpartition(":")[2] for image in elastic} == {"9.5.6"}
    assert resolved["services"]["kibana"]["image"] in elastic
    assert [name for name, service in resolved["services"].items() if "build" in service] == ["indexer"]


def test_the_indexer_is_the_one_that_is_tested(resolved: dict[str, Any]) -> None:
    """It differs from that of test.yaml in where its secrets and ports come from, and in whom it waits for."""
    tested = yaml.safe_load((COMPOSE / "test.yaml").read_text())["services"]["indexer"]
    shipped = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["indexer"]
    own = {"secrets", "volumes", "ports", "depends_on"}
    assert {key: tested[key] for key in tested.keys() - own} == {
        key: shipped[key] for key in shipped.keys() - own
    }
    service = resolved["services"]["indexer"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert {"logs:/logs:ro", "state:/state"} <= set(shipped["volumes"])


def test_alerts_have_their_rules_and_no_rights() -> None:
    """ElastAlert finds configuration and rules where it looks for them, has no rights, and its password is in no option."""
    service = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["alerts"]
    mounted = {target: COMPOSE / source for source, target, _ in (it.split(":") for it in service["volumes"])}
    configuration = yaml.safe_load(mounted["/opt/elastalert/config.yaml"].read_text())
    assert list(mounted[configuration["rules_folder"]].glob("*.yaml"))
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "1000:1000")
    assert f"/run/secrets/{service['environment']['ES_USERNAME']}" in service["entrypoint"][-1]
    assert f"--index {configuration['writeback_index']} " in service["entrypoint"][-1]
    assert "ES_PASSWORD" not in service["environment"]
    assert "LEARNT_UNTIL=" in service["entrypoint"][-1]  # for the rules about what is new
    assert service["stop_signal"] == "SIGINT"


def test_secrets_are_made_once_and_each_user_reads_its_own(
    stack: Stack, volumes: list[str], shims: Path
) -> None:
    """Passwords and certificates lie where each service has them, closed to others; a second run changes nothing."""
    image = stack.images.elasticsearch
    how = (*RIGHTS, *volumes, f"--volume={shims}/unzip:/usr/bin/unzip:ro", f"--volume={COMPOSE}:/compose:ro")

    def script(*arguments: str) -> str:
        return docker("run", "--rm", "--user=0:0", *how, *arguments).stdout

    def listing() -> set[str]:
        found = script(
            image,
            "sh",
            "-c",
            "cd /secrets && find . -type f -exec stat -c '%a %u %n' {} + -exec sha256sum {} +",
        )
        return set(found.splitlines())

    script(image, "bash", "/compose/set-up.sh", "secrets")
    first = listing()
    script(image, "bash", "/compose/set-up.sh", "secrets")
    assert listing() == first
    assert {line for line in first if re.match(r"\d+ \d+ ", line)} == {
        "400 0 ./complete/yes",
        *(f"400 1000 ./elasticsearch/{name}" for name in ("ca.crt", "elastic", "node.crt", "node.key")),
        *(
            f"400 1000 ./kibana/{name}"
            for name in ("ca.crt", "encryption_key", "kibana.yml", "kibana_system")
        ),
        *(f"400 10001 ./admin/{name}" for name in ("ca.crt", "elastic")),
        *(f"400 10001 ./setup/{name}" for name in ("ca.crt", "setup")),
        *(f"400 10001 ./reader/{name}" for name in ("ca.crt", "reader")),
        *(f"400 10001 ./indexer/{name}" for name in ("ca.crt", "writer")),
        *(f"400 1000 ./alerts/{name}" for name in ("alerts", "ca.crt")),
    }

    requests = shims / "requests"
    requests.mkdir()
    said = script(
        f"--volume={shims}/curl:/usr/bin/curl:ro",
        f"--volume={requests}:/requests",
        image,
        "bash",
        "/compose/set-up.sh",
        "users",
    )
    assert said.split() == [
        *("POST", "/_security/user/kibana_system/_password"),
        *(word for user in ("setup", "writer", "reader") for word in ("PUT", f"/_security/user/{user}")),
        *("PUT", "/_security/role/zoomdata-alerts", "PUT", "/_security/user/alerts"),
    ]
    bodies = [yaml.safe_load(line) for line in (requests / "bodies").read_text().split("\n") if line]
    assert [body.get("roles") for body in bodies] == [
        None,
        *([f"zoomdata-activity-{role}"] for role in ("setup", "writer", "reader")),
        None,
        ["zoomdata-activity-reader", "zoomdata-alerts"],
    ]
    passwords = [body["password"] for body in bodies if "password" in body]
    assert len(set(passwords)) == len(passwords) == 5
    assert all(len(password) >= 24 for password in passwords)
