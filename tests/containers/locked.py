"""What is in the lock files: `make outdated` shows what they lack, `make sbom` who is in the image.

    python -m tests.containers.locked outdated
    python -m tests.containers.locked sbom > sbom.json

The bill of materials is CycloneDX 1.6 as JSON (its specification: cyclonedx.org/docs/1.6/json). It has the packages that are
installed on Linux, what needs them, and the checksums of the files that they may come from; what the base image brings, its
Python and its system, is not in a lock file and not in it.
"""

import os
import re
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from packaging.markers import Marker

import indexer
from tests.containers.wheels import LOCKS, REPOSITORY

BLOCK = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>.*?))?(?: \\)?$", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
VIA = re.compile(r"^    #(?: via)? +([\w.-]+)", re.MULTILINE)
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-header")


@dataclass(frozen=True, slots=True)
class Package:
    """One package of a lock file."""

    name: str
    version: str
    installed: bool
    """On Linux."""
    hashes: tuple[str, ...]
    """SHA-256 of each file that it may come from."""
    via: tuple[str, ...]
    """What needs it."""

    @property
    def purl(self) -> str:
        """Its package URL (github.com/package-url/purl-spec)."""
        return f"pkg:pypi/{self.name}@{self.version}"


def packages(lock: str) -> Iterator[Package]:
    """Read the text of a lock file."""
    for block in re.split(r"\n(?=\w)", lock):
        if found := BLOCK.search(block):
            marker = found["marker"]
            yield Package(
                found["name"],
                found["version"],
                marker is None or Marker(marker).evaluate(LINUX),
                tuple(HASH.findall(block)),
                tuple(VIA.findall(block.replace("# via\n", "\n"))),
            )


def newer(lock: str, upgraded: str) -> list[tuple[str, str, str]]:
    """Name, locked version and the version in its place, of each package in which the two differ; `-` for none."""
    old, new = ({it.name: it.version for it in packages(text)} for text in (lock, upgraded))
    return [
        (name, old.get(name, "-"), new.get(name, "-"))
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]


def bill_of_materials(lock: str, moment: datetime) -> dict[str, Any]:
    """Make it from a lock file, as of a moment."""
    installed = [it for it in packages(lock) if it.installed]
    project = PROJECT["project"]
    root = Package(project["name"], indexer.__version__, installed=True, hashes=(), via=())
    needs = {each.purl: [it.purl for it in installed if each.name in it.via] for each in (root, *installed)}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root.purl + lock)}",
        "version": 1,
        "metadata": {
            "timestamp": moment.isoformat(timespec="seconds"),
            "component": _component(root, "application")
            | {"description": project["description"], "licenses": [{"license": {"id": project["license"]}}]},
        },
        "components": [_component(it, "library") for it in installed],
        "dependencies": [{"ref": purl, "dependsOn": below} for purl, below in needs.items()],
    }


def _component(package: Package, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": kind,
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    if package.hashes:
        hashes = [{"alg": "SHA-256", "content": it} for it in package.hashes]
        found["externalReferences"] = [{"type": "distribution", "url": package.purl, "hashes": hashes}]
    return found


def show_outdated() -> None:
    """Print the age of each lock file, and what `make lock UPGRADE=--upgrade` would change in it."""
    for lock in LOCKS:
        at = subprocess.run(
            ["git", "log", "-1", "--format=%ct", "--", lock], check=True, capture_output=True, cwd=REPOSITORY
        ).stdout
        age = f"locked {(time.time() - int(at)) / 86400:.0f} days ago" if at.strip() else "not committed yet"
        requires = "\n".join(PROJECT["build-system"]["requires"])
        source = ["-"] if "build" in lock.name else ["--extra", "seal", "pyproject.toml"]
        # Whatever index uv is told of; it answers within the bounds of pyproject.toml.
        upgraded = subprocess.run(
            [*COMPILE, "--upgrade", *source],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            input=requires,
            cwd=REPOSITORY,
        ).stdout
        changed = newer(lock.read_text(), upgraded)
        print(f"{lock.relative_to(REPOSITORY)}: {age}, {len(changed)} packages would change")
        for name, old, new in changed:
            print(f"  {name:<24} {old:<14} {new}")


def main(what: str) -> None:
    """Do what the command line says."""
    if what == "outdated":
        show_outdated()
        return
    moment = datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time()), UTC)
    made = bill_of_materials(LOCKS[0].read_text(), moment)
    sys.stdout.buffer.write(orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main(sys.argv[1])
