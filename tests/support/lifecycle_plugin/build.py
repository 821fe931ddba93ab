"""Builds the plugin beside this file for one version of the server, with Eclipse's compiler on that server's own Java.

So no JDK is needed. What is built is kept in the cache of the servers, under a hash of all that it is made from.
"""

import hashlib
import subprocess
import zipfile
from pathlib import Path

from indexer.demo.embedded import FAST_START, Embedded, Java
from indexer.demo.installation import Installation, cached, check, fetch, prepare
from indexer.errors import EmbeddedFailed

COMPILER = ("org.eclipse.jdt", "ecj", "3.40.0", "jar")
COMPILER_SHA256 = "05cc22a24e7982970f63a405fc6c820bc80b806f27f3c5a6236fc475f8f7152b"
JAVA = "17"
"""The oldest that these servers are started on here."""
SOURCES = {"7": ("all", "7"), "8": ("all", "8-9", "8"), "9": ("all", "8-9", "9")}
"""What of the source belongs to which major version."""
NO_CALENDAR_PROVIDERS = "-Djava.locale.providers=COMPAT"
"""8.19 on Java 17 forbids itself the calendar provider of its own that it reads LifecycleSettings with, and stops (measured)."""


def managed(version: str, parent: Path | None = None) -> Embedded:
    """A server with the plugin, which looks at its indices once a second, the least that the setting takes."""
    calendar = (NO_CALENDAR_PROVIDERS,) if version.startswith("8.") else ()
    return Embedded(
        version,
        parent=parent,
        plugins=[build(version)],
        settings={"indices.lifecycle.poll_interval": "1s"},
        java=Java(flags=(*FAST_START, *calendar)),
    )


def build(version: str) -> Path:
    """The directory of the plugin, as `Embedded(plugins=...)` takes it. Raises EmbeddedFailed."""
    here = Path(__file__).parent
    sources = [
        path for part in SOURCES[version.partition(".")[0]] for path in sorted((here / part).iterdir())
    ]
    descriptor = _descriptor(version)
    made_from = [descriptor.encode(), COMPILER_SHA256.encode(), *(it.read_bytes() for it in sources)]
    digest = hashlib.sha256(b"\0".join(made_from)).hexdigest()

    def fill(tree: Path) -> None:
        compiler = fetch(*COMPILER, tree.parent / "repository")
        check(compiler, COMPILER_SHA256)
        classes = tree.parent / "classes"
        _compile(prepare(version), compiler, sources, classes)
        tree.mkdir()
        (tree / "plugin-descriptor.properties").write_text(descriptor)
        with zipfile.ZipFile(tree / "lifecycle-stand-in.jar", "w") as jar:
            for path in sorted(classes.rglob("*.class")):
                jar.write(path, path.relative_to(classes))

    return cached(f"lifecycle-stand-in-{version}-{digest[:16]}", fill)


def _descriptor(version: str) -> str:
    """The plugin-descriptor.properties (Elasticsearch plugins guide, "Creating classic plugins")."""
    return (
        "name=lifecycle-stand-in\n"
        "description=Index lifecycle management for tests\n"
        "version=1\n"
        "classname=lifecycle.LifecyclePlugin\n"
        f"java.version={JAVA}\n"
        f"elasticsearch.version={version}\n"
        "extended.plugins=x-pack-core\n"
    )


def _compile(installation: Installation, compiler: Path, sources: list[Path], classes: Path) -> None:
    jars = [*installation.server.glob("lib/*.jar"), *installation.server.glob("modules/x-pack-core/*.jar")]
    command: list[str | Path] = [
        installation.java / "bin" / "java",
        "-jar",
        compiler,
        f"-{JAVA}",
        "-proc:none",
        "-nowarn",
    ]
    command += ["-classpath", ":".join(map(str, jars)), "-d", classes, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmbeddedFailed(reason="the lifecycle plugin does not compile", hint=done.stderr)
