"""Real logback: its jars from Maven Central, and a writer that logs with it, compiled once for all versions."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from indexer.demo.installation import cached, check, fetch
from indexer.errors import EmbeddedFailed
from tests.support.lifecycle_plugin.build import COMPILER, COMPILER_SHA256, JAVA

Jar = tuple[str, str, str, str]
"""Group, artifact, version and SHA-256 checksum."""
VERSIONS: dict[str, tuple[Jar, ...]] = {
    "1.2": (  # what Zoomdata logs with
        (
            "ch.qos.logback",
            "logback-classic",
            "1.2.13",
            "937afb220b91d8a394d78befdbf587c71aeed289d582e2a91e72a7d92172371d",
        ),
        (
            "ch.qos.logback",
            "logback-core",
            "1.2.13",
            "07b1586faf220c05821d0f3ed8e2e417e214c83f40641f76e8a90b134c31ff6b",
        ),
        (
            "org.slf4j",
            "slf4j-api",
            "1.7.36",
            "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0",
        ),
    ),
    "1.5": (
        (
            "ch.qos.logback",
            "logback-classic",
            "1.5.18",
            "3e1533d0321f8815eef46750aee0111b41554f9a4644c3c4d2d404744b09f60f",
        ),
        (
            "ch.qos.logback",
            "logback-core",
            "1.5.18",
            "85139e7b57b464f8e5e36326dd81317648bed199ccc4f98cd42585f8d7571027",
        ),
        (
            "org.slf4j",
            "slf4j-api",
            "2.0.17",
            "7b751d952061954d5abfed7181c1f645d336091b679891591d63329c622eb832",
        ),
    ),
}
SOURCE = Path(__file__).with_name("Writer.java")


def class_path(version: str, java: Path) -> str:
    """The jars of a version and the compiled writer, as `java -classpath` takes them. Raises EmbeddedFailed."""
    jars = VERSIONS[version]
    made_from = SOURCE.read_bytes() + repr(jars).encode()

    def fill(tree: Path) -> None:
        repository = tree.parent / "repository"
        tree.mkdir()
        for group, artifact, number, sha256 in jars:
            jar = fetch(group, artifact, number, "jar", repository)
            check(jar, sha256)
            shutil.copy(jar, tree / f"{artifact}.jar")
        compiler = fetch(*COMPILER, repository)
        check(compiler, COMPILER_SHA256)
        command: list[str | Path] = [
            java / "bin" / "java",
            "-jar",
            compiler,
            f"-{JAVA}",
            "-proc:none",
            "-nowarn",
            "-encoding",
            "UTF-8",
        ]
        command += ["-classpath", _joined(tree), "-d", tree / "classes", SOURCE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EmbeddedFailed(reason=f"{SOURCE.name} does not compile", hint=done.stderr)

    tree = cached(f"logback-{version}-{hashlib.sha256(made_from).hexdigest()[:16]}", fill)
    return f"{_joined(tree)}:{tree / 'classes'}"


def _joined(tree: Path) -> str:
    return ":".join(map(str, sorted(tree.glob("*.jar"))))
