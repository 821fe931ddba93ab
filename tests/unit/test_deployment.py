"""The lock files of the image, and the manifest for Kubernetes. Compose files are tried in tests/containers."""

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

import indexer
from indexer import cli
from indexer.errors import EXIT_USAGE
from indexer.monitoring.health import ALIVE_WITHIN
from indexer.pipeline import DRAIN
from indexer.run import LAST_SEALING
from tests.containers.locked import bill_of_materials, newer

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "compose"
UNIT = COMPOSE / "zoomdata-indexer.service"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+?)(?: ; (?P<marker>.*?))? \\$", re.MULTILINE)
DECLARED = {
    "requirements.txt": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["seal"],
    ],
    "build-requirements.txt": PROJECT["build-system"]["requires"],
}
MANIFEST = [
    thing
    for file in ("kubernetes.yaml", "kubernetes-audit.yaml")
    for thing in yaml.safe_load_all((COMPOSE / file).read_text())
]
PODS = {
    thing["kind"]: thing["spec"].get("jobTemplate", thing)["spec"]["template"]["spec"]
    for thing in MANIFEST
    if thing["kind"] in {"Job", "StatefulSet", "CronJob"}
}


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


def secrets_of_compose(directory: Path) -> dict[str, set[str]]:
    """The passwords and keys that set-up.sh makes, by the volume they lie in."""
    script = (COMPOSE / "set-up.sh").read_text().partition('\ncase "$1" in')[0]
    script = (
        script.replace("/secrets/", f"{directory}/") + "\nchown() { :; }\nmake_passwords\nconfigure_kibana\n"
    )
    subprocess.run(["bash", "-c", script], check=True)
    return {f"secrets-{it.name}": {file.name for file in it.iterdir()} for it in directory.iterdir()}


def test_no_service_sees_a_secret_that_it_does_not_need(tmp_path: Path) -> None:
    """Each has one password, that of the user it is; Elasticsearch itself, and Kibana's key, aside."""
    made = secrets_of_compose(tmp_path)
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    seen = {
        name: {
            secret
            for volume in service.get("volumes", ())
            if ":/run/secrets" in volume
            for secret in made[volume.split(":")[0]]
        }
        for name, service in services.items()
    }
    assert {name: secrets for name, secrets in seen.items() if secrets} == {
        "elasticsearch": {"elastic"},
        "roles": {"elastic"},
        "template": {"setup"},
        "indexer": {"writer"},
        "operator": {"reader"},
        "kibana": {"kibana_system", "encryption_key", "kibana.yml"},
        "dashboards": {"elastic"},
        "alerts": {"alerts"},
    }
    for name in ("roles", "template", "indexer", "operator", "dashboards"):
        (password,) = seen[name]
        assert services[name]["environment"]["INDEXER_PASSWORD_FILE"] == f"/run/secrets/{password}"
        assert services[name]["environment"]["INDEXER_USERNAME"] == password
    set_up = {volume.split(":")[0] for volume in services["secrets"]["volumes"]}
    assert set_up >= made.keys()


def test_kibanas_secrets_are_in_a_file_and_nowhere_else(tmp_path: Path) -> None:
    """Kibana is given its configuration as files; one of them has both secrets, and no variable or option has any."""
    secrets_of_compose(tmp_path)
    password, key = ((tmp_path / "kibana" / name).read_text() for name in ("kibana_system", "encryption_key"))
    configured = tmp_path / "kibana" / "kibana.yml"
    assert yaml.safe_load(configured.read_text()) == {
        "elasticsearch.password": password,
        "xpack.encryptedSavedObjects.encryptionKey": key,
    }
    assert len(key) >= 32  # what Kibana asks of a key
    assert configured.stat().st_mode & 0o777 == 0o400
    kibana = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["kibana"]
    assert kibana["command"][1::2] == ["--config", "--config"]
    assert kibana["command"][2::2] == [
        "/usr/share/kibana/config/kibana.yml",
        f"/run/secrets/{configured.name}",
    ]
    assert not [name for name in kibana["environment"] if "PASSWORD" in name or "KEY" in name]


def test_the_page_says_what_the_stack_takes_of_memory() -> None:
    """The limits of what keeps running, added up, in GB."""
    common = yaml.safe_load((COMPOSE / "common.yaml").read_text())["services"]
    common["built"] |= common["indexer"]
    units = {"m": 2**20, "g": 2**30}
    limits = {}
    for name, it in yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"].items():
        whole = common.get(it.get("extends", {}).get("service"), {}) | it
        if whole.get("restart") == "unless-stopped":
            limits[name] = int(whole["mem_limit"][:-1]) * units[whole["mem_limit"][-1]] / 1e9
    assert limits.keys() == {"elasticsearch", "kibana", "indexer", "writer", "alerts"}
    told = "up to {:.1f} GB of memory, {:.1f} of them for Elasticsearch and {:.1f} for Kibana"
    page = " ".join((COMPOSE / "README.md").read_text().split())
    assert told.format(sum(limits.values()), limits["elasticsearch"], limits["kibana"]) in page


def services_that_build(file: str) -> list[str]:
    """Those services of a compose file that build, whatever they extend."""
    common = yaml.safe_load((COMPOSE / "common.yaml").read_text())["services"]
    services = yaml.safe_load((COMPOSE / file).read_text())["services"]
    return [
        name
        for name, it in services.items()
        if "build" in it or "build" in common.get(it.get("extends", {}).get("service"), {})
    ]


def test_one_service_builds_the_image_and_nobody_pulls_it() -> None:
    """Several would build one tag at once; those that use it wait for the one, and ask no registry for it."""
    assert services_that_build("compose.yaml") == ["indexer"]
    assert services_that_build("test.yaml") == ["elasticsearch", "indexer"]
    common = yaml.safe_load((COMPOSE / "common.yaml").read_text())["services"]
    assert {it["image"] for it in common.values() if "image" in it} == {"${INDEXER_IMAGE:-zoomdata-indexer}"}
    assert {name: it["pull_policy"] for name, it in common.items()} == {
        "indexer": "never",
        "built": "if_not_present",
        "writer": "never",
    }


def test_secrets_that_an_earlier_version_kept_together_are_divided(tmp_path: Path) -> None:
    """A stack that was set up before goes on with its passwords."""
    secrets_of_compose(tmp_path)
    before = {user: (tmp_path / user / user).read_text() for user in ("setup", "reader")}
    for user in before:
        (tmp_path / user / user).replace(tmp_path / "admin" / user)
        (tmp_path / user).rmdir()
    (tmp_path / "admin" / "ca.crt").write_text("certificate")
    (tmp_path / "complete").mkdir()
    (tmp_path / "complete" / "yes").touch()
    (tmp_path / "kibana" / "kibana.yml").unlink()
    script = (COMPOSE / "set-up.sh").read_text().replace("/secrets/", f"{tmp_path}/")
    for _ in range(2):
        subprocess.run(["bash", "-c", "chown() { :; }\n" + script, "set-up.sh", "secrets"], check=True)
        assert {user: (tmp_path / user / user).read_text() for user in before} == before
        assert {(tmp_path / user / "ca.crt").read_text() for user in before} == {"certificate"}
        assert {it.name for it in (tmp_path / "admin").iterdir()} == {"elastic", "ca.crt"}
        password = (tmp_path / "kibana" / "kibana_system").read_text()
        assert f'"{password}"' in (tmp_path / "kibana" / "kibana.yml").read_text()


def test_the_monitoring_port_is_open_to_prometheus_alone() -> None:
    """No pod of another kind reaches the indexer: a NetworkPolicy for its pods with that one way in."""
    (policy,) = [thing["spec"] for thing in MANIFEST if thing["kind"] == "NetworkPolicy"]
    (indexer_set,) = [thing["spec"] for thing in MANIFEST if thing["kind"] == "StatefulSet"]
    labels = indexer_set["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress"]
    (way,) = policy["ingress"]
    assert way["ports"] == [{"port": "monitoring", "protocol": "TCP"}]
    (source,) = way["from"]
    assert source["namespaceSelector"]["matchLabels"]
    assert source["podSelector"]["matchLabels"]


@pytest.mark.parametrize("thing", MANIFEST, ids=lambda thing: thing["kind"])
@pytest.mark.parametrize("version", ["1.25", "1.30", "1.34"])
def test_the_manifest_is_valid(thing: dict[str, Any], version: str) -> None:
    """Each object is what the published schema of Kubernetes says, without a field that it does not know."""
    kubernetes_validate.validate(thing, version, strict=True)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
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


def test_a_seal_key_may_be_missing_and_is_for_the_indexer_alone() -> None:
    """Without the Secret the indexer starts; with it, one line of the ConfigMap names a file that its group may read."""
    text = (COMPOSE / "kubernetes.yaml").read_text()
    (name,) = re.findall(r"^  # INDEXER_SEAL_KEY_FILE: (/\S+)$", text, re.MULTILINE)
    pod = PODS["StatefulSet"]
    (mount,) = [it for it in pod["containers"][0]["volumeMounts"] if it["name"] == "seal"]
    assert (Path(name).parent, mount["readOnly"]) == (Path(mount["mountPath"]), True)
    (secret,) = [it["secret"] for it in pod["volumes"] if it["name"] == "seal"]
    assert secret == {"secretName": "zoomdata-indexer-seal", "defaultMode": 0o440, "optional": True}
    assert f"secret generic {secret['secretName']} --from-file={Path(name).name}" in text
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    others = str([pod for kind, pod in PODS.items() if kind != "StatefulSet"])
    assert f"'secretName': '{secret['secretName']}'" not in others
    assert f"'secret': {{'name': '{secret['secretName']}'" not in others


def test_an_audit_has_room_for_its_temporary_files() -> None:
    """`verify --seals` writes to /tmp, which nobody else of the read-only containers has."""
    for kind, pod in PODS.items():
        places = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert ("/tmp" in places) is (kind == "CronJob")
    (room,) = [it["emptyDir"] for it in PODS["CronJob"]["volumes"] if it["name"] == "tmp"]
    assert room["sizeLimit"]
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    assert [name for name, it in services.items() if "/tmp" in it.get("volumes", ())] == ["operator"]


# ---- the sidecar


def patched(kind: str) -> dict[str, Any]:
    """A web server of this kind, as the sidecar's patch changes it; lists of named things are merged by name."""
    labels = {"app": "web"}
    web = {"name": "web", "image": "web", "volumeMounts": [{"name": "own", "mountPath": "/own"}]}
    pod = {"containers": [web], "volumes": [{"name": "own", "emptyDir": {}}]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    whole = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}
    merged: dict[str, Any] = merge(whole, yaml.safe_load((COMPOSE / "kubernetes-sidecar.yaml").read_text()))
    return merged


def merge(one: Any, other: Any) -> Any:
    """A strategic merge, as far as the patch needs one."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: merge(one.get(key), other.get(key)) for key in [*one, *(other.keys() - one.keys())]}
    if isinstance(one, list) and isinstance(other, list):
        named = {each["name"]: each for each in one}
        for each in other:
            named[each["name"]] = merge(named.get(each["name"]), each)
        return list(named.values())
    return one if other is None else other


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("version", ["1.29", "1.34"])
def test_the_sidecar_is_valid_in_a_pod_of_either_kind(kind: str, version: str) -> None:
    """What comes of the patch is valid; the web server keeps what it has, and writes where the indexer reads."""
    made = patched(kind)
    kubernetes_validate.validate(made, version, strict=True)
    pod = made["spec"]["template"]["spec"]
    (web,), (indexer_container,) = pod["containers"], pod["initContainers"]
    assert {"name": "own", "mountPath": "/own"} in web["volumeMounts"]
    (written,) = [it for it in web["volumeMounts"] if it["name"] != "own"]
    (read,) = [it for it in indexer_container["volumeMounts"] if it["mountPath"] == "/logs"]
    assert (read["name"], read["readOnly"]) == (written["name"], True)
    text = (COMPOSE / "kubernetes-sidecar.yaml").read_text()
    assert f"activity.logs.dir={written['mountPath']} " in text
    mounted = {it["name"] for it in (*web["volumeMounts"], *indexer_container["volumeMounts"])}
    assert mounted == {it["name"] for it in pod["volumes"]}


def test_the_sidecar_is_the_indexer_of_the_manifest() -> None:
    """It differs in how it is started and stopped, in what it may be asked, and in the names of its volumes and port."""
    (sidecar,) = patched("StatefulSet")["spec"]["template"]["spec"]["initContainers"]
    (alone,) = PODS["StatefulSet"]["containers"]
    for name in ("image", "envFrom", "env", "resources"):
        assert sidecar[name] == alone[name]
    assert sidecar["restartPolicy"] == "Always"  # else the web server would wait for its end
    assert "readinessProbe" not in sidecar  # it would be the web server's, too
    assert "startupProbe" not in sidecar
    probed = {**alone["livenessProbe"], "httpGet": {"path": "/healthz", "port": sidecar["ports"][0]["name"]}}
    assert sidecar["livenessProbe"] == probed
    assert sidecar["ports"][0]["containerPort"] == alone["ports"][0]["containerPort"]
    places = {it["mountPath"] for it in alone["volumeMounts"]}
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert {it["mountPath"] for it in sidecar["volumeMounts"]} == {*places, token}


def test_the_sidecar_meets_the_restricted_standard() -> None:
    """By itself, whatever the pod says; the token of the pod's service account is not for it."""
    pod = patched("Deployment")["spec"]["template"]["spec"]
    (sidecar,) = pod["initContainers"]
    assert sidecar["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (token,) = [it["name"] for it in sidecar["volumeMounts"] if it["mountPath"].endswith("serviceaccount")]
    assert {"name": token, "emptyDir": {}} in pod["volumes"]


def test_what_the_sidecar_needs_of_the_manifest_has_one_label() -> None:
    """`kubectl apply -l` takes the ConfigMap and the Job, and no second indexer."""
    (label,) = re.findall(
        r"-l (\S+)=template$", (COMPOSE / "kubernetes-sidecar.yaml").read_text(), re.MULTILINE
    )
    labelled = {it["kind"] for it in MANIFEST if it["metadata"]["labels"].get(label) == "template"}
    assert labelled == {"ConfigMap", "Job"}


def test_probes_ask_the_port_of_the_image() -> None:
    """The container, its probes and the service mean the port that the image serves."""
    container = PODS["StatefulSet"]["containers"][0]
    (port,) = container["ports"]
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    assert f"INDEXER_MONITORING_ADDRESS=0.0.0.0:{port['containerPort']}" in dockerfile
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}


# ---- systemd


def analyze(*arguments: str | Path) -> str:
    """What systemd's own checker says."""
    ended = subprocess.run(
        ["systemd-analyze", *arguments], check=False, text=True, capture_output=True, timeout=60
    )
    return f"{ended.stdout}{ended.stderr}exit code {ended.returncode}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd: .ci/run installs it")
def test_systemd_knows_each_line_of_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing, once the program is there."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/indexer ", f"{sys.executable} "))
    assert analyze("verify", "--man=no", unit) == "exit code 0"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd: .ci/run installs it")
def test_the_unit_is_hardened() -> None:
    """`systemd-analyze security` gives it at most 1.5 of 10, where 10 is a service with all rights."""
    assert analyze("security", "--offline=true", "--threshold=15", UNIT).endswith("exit code 0")


def test_the_unit_agrees_with_the_indexer() -> None:
    """Its watchdog waits as long as /healthz; its stop leaves time to drain; a wrong setting is not tried again."""
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert (service["Type"], service["DynamicUser"]) == ("notify", "yes")
    assert float(service["WatchdogSec"]) == ALIVE_WITHIN
    assert float(service["TimeoutStopSec"]) > DRAIN + LAST_SEALING
    assert service["RestartPreventExitStatus"] == str(EXIT_USAGE)
    variables = dict(re.findall(r"^Environment=(INDEXER_\w+)=(\S+)$", UNIT.read_text(), re.MULTILINE))
    known = {f"INDEXER_{it.opts[0].strip('-').upper().replace('-', '_')}" for it in run_options()}
    assert variables.keys() <= known | {"INDEXER_PATHS"}
    assert variables["INDEXER_STATE_DIR"] == f"/var/lib/{service['StateDirectory']}"
    command = service["ExecStart"].split()
    assert command[1:3] == ["run", "--password-file"]
    credential, _, source = service["LoadCredential"].partition(":")
    assert command[3] == f"${{CREDENTIALS_DIRECTORY}}/{credential}"
    assert source not in set(variables.values())  # the service itself may not read it


def run_options() -> list[Any]:
    """The options of `indexer run`."""
    commands: Any = get_command(cli.app)
    return [it for it in commands.commands["run"].params if it.param_type_name == "option"]


# ---- what is in the lock file


def test_the_bill_of_materials_is_cyclonedx() -> None:
    """What CycloneDX 1.6 requires, in its form, and each reference to something that is there."""
    lock = (COMPOSE / "requirements.txt").read_text()
    made = bill_of_materials(lock, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["serialNumber"])
    assert made["metadata"]["timestamp"] == "2026-01-02T03:04:05+00:00"
    components = [made["metadata"]["component"], *made["components"]]
    for it in components:
        assert it["type"] in {"application", "library"}
        assert it["name"]
        assert it["version"]
        assert it["purl"] == it["bom-ref"] == f"pkg:pypi/{it['name']}@{it['version']}"
    for it in made["components"]:
        (source,) = it["externalReferences"]
        assert (source["type"], bool(source["url"])) == ("distribution", True)
        assert source["hashes"]
        assert {each["alg"] for each in source["hashes"]} == {"SHA-256"}
        assert all(f"sha256:{each['content']}" in lock for each in source["hashes"])
    refs = [it["bom-ref"] for it in components]
    assert len(set(refs)) == len(refs)
    assert [it["ref"] for it in made["dependencies"]] == refs
    assert {ref for it in made["dependencies"] for ref in it["dependsOn"]} == set(refs[1:])
    assert made == bill_of_materials(lock, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_the_bill_of_materials_is_of_what_is_installed() -> None:
    """Each package of the lock file but those for another system, and what needs it."""
    lock = (COMPOSE / "requirements.txt").read_text()
    made = bill_of_materials(lock, datetime.now(UTC))
    locked = {f"pkg:pypi/{it['name']}@{it['version']}" for it in LOCKED.finditer(lock)}
    left_out = locked - {it["purl"] for it in made["components"]}
    assert {it.partition("@")[0] for it in left_out} == {"pkg:pypi/colorama"}
    needs = {it["ref"].partition("@")[0]: it["dependsOn"] for it in made["dependencies"]}
    declared = {canonicalize_name(Requirement(it).name) for it in DECLARED["requirements.txt"]}
    direct = {it.removeprefix("pkg:pypi/").partition("@")[0] for it in needs["pkg:pypi/zoomdata-indexer"]}
    assert direct == declared
    assert any(it.startswith("pkg:pypi/elastic-transport@") for it in needs["pkg:pypi/elasticsearch"])


def test_what_is_outdated_is_what_an_upgrade_changes() -> None:
    """Other versions, packages that are new and those that are gone; markers and comments are none."""
    lock = (
        "a==1 \\\n    --hash=sha256:00\n    # via b\nb==2 ; os_name == 'nt' \\\n    --hash=sha256:00\nc==3\n"
    )
    upgraded = "a==1.1\n    # via b\nb==2 ; os_name == 'nt'\nd==4\n"
    assert newer(lock, upgraded) == [("a", "1", "1.1"), ("c", "3", "-"), ("d", "-", "4")]
    assert newer(lock, lock) == []
