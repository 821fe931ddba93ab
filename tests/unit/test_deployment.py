"""The lock files of the image, and the manifest for Kubernetes. Compose files are tried in tests/containers."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import indexer

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "compose"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+?)(?: ; (?P<marker>.*?))? \\$", re.MULTILINE)
DECLARED = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "build-requirements.txt": PROJECT["build-system"]["requires"],
}
MANIFEST = list(yaml.safe_load_all((COMPOSE / "kubernetes.yaml").read_text()))
PODS = [thing["spec"]["template"]["spec"] for thing in MANIFEST if thing["kind"] in {"Job", "StatefulSet"}]


@pytest.mark.parametrize("lock", DECLARED)
def test_a_lock_file_is_in_step(lock: str) -> None:
    """Each declared dependency is locked to a version that is allowed, and so is each of the locked ones' own."""
    text = (COMPOSE / lock).read_text()
    versions = {canonicalize_name(found["name"]): found["version"] for found in LOCKED.finditer(text)}
    wanted = [Requirement(line) for line in DECLARED[lock]]
    assert wanted
    for requirement in wanted:
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), (
            "run `make lock`"
        )
    for name in versions.keys() - {"colorama"}:  # for Windows, not installed here
        for line in distribution(name).requires or [] if lock == "requirements.txt" else []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in versions


@pytest.mark.parametrize("lock", DECLARED)
def test_a_lock_file_names_checksums_and_no_addresses(lock: str) -> None:
    """Each package has checksums; where it comes from is for pip to know."""
    text = (COMPOSE / lock).read_text()
    blocks = re.split(r"\n(?=\w)", text)
    assert all("--hash=sha256:" in block for block in blocks)
    assert len(blocks) == len(LOCKED.findall(text))
    assert "://" not in text
    assert "index" not in text.replace("zoomdata-indexer", "")


@pytest.mark.parametrize("thing", MANIFEST, ids=lambda thing: thing["kind"])
@pytest.mark.parametrize("version", ["1.25", "1.30", "1.34"])
def test_the_manifest_is_valid(thing: dict[str, Any], version: str) -> None:
    """Each object is what the published schema of Kubernetes says, without a field that it does not know."""
    kubernetes_validate.validate(thing, version, strict=True)


@pytest.mark.parametrize("pod", PODS, ids=["Job", "StatefulSet"])
def test_pods_meet_the_restricted_standard(pod: dict[str, Any]) -> None:
    """What "Pod Security Standards: restricted" (Kubernetes documentation) asks for, and a root that is only read."""
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"] == f"zoomdata-indexer:{indexer.__version__}"
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    claims = {"state"} if "ports" in container else set()
    assert mounted == {volume["name"] for volume in pod["volumes"]} | claims


def test_probes_ask_the_port_of_the_image() -> None:
    """The container, its probes and the service mean the port that the image serves."""
    container = PODS[1]["containers"][0]
    (port,) = container["ports"]
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    assert f"INDEXER_MONITORING_ADDRESS=0.0.0.0:{port['containerPort']}" in dockerfile
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
