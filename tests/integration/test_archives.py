"""Compressed logs beside the others: known by their first bytes, read or named as unreadable, and never cut into lines."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable

import orjson
import pytest
import structlog.testing

from indexer import monitoring
from indexer.reading import registry
from tests.support.lab import LOG, Lab, joined, numbered

READ: dict[str, Callable[[bytes], bytes]] = {
    f"{LOG}.1": gzip.compress,
    f"{LOG}.2.GZ": gzip.compress,
    f"{LOG}.3.xz": gzip.compress,
    f"{LOG}.4.gz": bytes,  # somebody has unpacked it and left the name
}
"""How logs of these names are compressed."""
COUNT = 20
"""Entries of each."""


def zipped(data: bytes) -> bytes:
    """A zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(LOG, data)
    return packed.getvalue()


def lines_of(number: int) -> bytes:
    """The content of the log of this number."""
    return joined(numbered(COUNT, start=COUNT * number))


def lay(lab: Lab) -> dict[str, str]:
    """Write a live log, archives that can be read, and some that cannot; return these, with the reason."""
    lab.log(lines_of(0))
    for number, (name, pack) in enumerate(READ.items(), 1):
        lab.log(pack(lines_of(number)), name)
    unreadable = {
        f"{LOG}.7.zip": (zipped(lines_of(7) * 100), "compressed with zip"),
        f"{LOG}.8.gz": (zipped(lines_of(7) * 100), "compressed with zip"),
        f"{LOG}.5.bz2": (bz2.compress(lines_of(7)), "compressed with bzip2"),
        f"{LOG}.6": (lzma.compress(lines_of(7)), "compressed with xz"),
        f"{LOG}.9.zst": (b"\x28\xb5\x2f\xfd\x04\x58\n{}\n" * 100, "compressed with zstd"),
        f"{LOG}.10.lz4": (b"\x04\x22\x4d\x18\x64\n{}\n" * 100, "compressed with lz4"),
    }
    return {str(lab.log(content, name)): reason for name, (content, reason) in unreadable.items()}


def test_archives_are_known_by_their_first_bytes(lab: Lab) -> None:
    """`run --once` and `verify` read what can be read, name all that cannot be, and fail."""
    unreadable = lay(lab)
    done = lab.command("run", "--once", lab.logs)
    assert done.returncode == 1, done.stderr
    for path, reason in unreadable.items():
        assert f"{path}: {reason}" in done.stderr
    assert lab.numbers() == list(range(COUNT * (len(READ) + 1)))
    assert lab.rejected().lines == ()
    verified = lab.command("verify", "--json", lab.logs)
    assert verified.returncode == 1
    result = orjson.loads(verified.stdout)
    assert (result["read"], result["present"]) == (COUNT * (len(READ) + 1),) * 2
    assert {path: unreadable[path] in reason for path, reason in result["unreadable"].items()} == (
        dict.fromkeys(unreadable, True)
    )


def test_the_follower_says_once_what_it_cannot_read(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is tried again and again; what is put in its place, it reads."""
    monkeypatch.setattr(registry, "RETRIED", 0.05)
    unreadable = lay(lab)
    torn = lab.log(gzip.compress(lines_of(len(READ) + 1)) + b"no archive\n", f"{LOG}.11.gz")
    unreadable[str(torn)] = "not a sound gzip archive"
    log = structlog.testing.CapturingLogger()
    with lab.following(listeners=[monitoring.Logs(log)]) as following:
        following.until_created(COUNT * (len(READ) + 2))
        following.until(lambda: len(following.heard.of("file_unreadable")) > 10 * len(unreadable))
        said = [call.kwargs for call in log.calls if "cannot be read" in str(call.args)]
        assert sorted(facts["file"] for facts in said) == sorted(unreadable)
        assert all(unreadable[facts["file"]] in facts["reason"] for facts in said)
        for number, path in enumerate(sorted(unreadable), len(READ) + 2):
            lab.log(gzip.compress(lines_of(number)), path)
        following.until_created(COUNT * (len(READ) + 2 + len(unreadable)))
    assert lab.numbers() == list(range(COUNT * (len(READ) + 2 + len(unreadable))))
    assert lab.rejected().lines == ()


BROKEN = {
    "followed by text": b'{"n":-1}\n' * 3,
    "followed by NULs and text": bytes(512) + b"text",
    "followed by a zip": zipped(b"{}\n"),
    "a last member cut in its checksum": gzip.compress(b"\n")[:-3],
    "a last member cut in its header": gzip.compress(b"\n")[:7],
}


def test_what_is_sound_of_an_archive_is_delivered(lab: Lab) -> None:
    """Several members are one log; bytes after the last valid one are reported, and the exit code is 1."""
    paths = []
    for number, rest in enumerate(BROKEN.values()):
        sound = gzip.compress(lines_of(2 * number)) + gzip.compress(lines_of(2 * number + 1))
        paths.append(str(lab.log(sound + rest, f"{number}-{LOG}.gz")))
    for _ in range(2):
        done = lab.command("run", "--once", lab.logs)
        assert done.returncode == 1, done.stderr
        assert all(path in done.stderr for path in paths), done.stderr
        assert lab.numbers() == list(range(2 * COUNT * len(BROKEN)))
    verified = lab.command("verify", "--json", lab.logs)
    assert verified.returncode == 1
    result = orjson.loads(verified.stdout)
    assert (result["present"], sorted(result["unreadable"])) == (2 * COUNT * len(BROKEN), sorted(paths))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zipped], ids=["gzip", "xz", "zip"])
def test_standard_input_is_not_unpacked(lab: Lab, pack: Callable[[bytes], bytes]) -> None:
    """The run fails with the reason, and makes no rejected lines of it."""
    packed = lab.log(pack(lines_of(0)))
    with packed.open("rb") as file:
        done = lab.command("run", "--once", "-", stdin=file)
    assert done.returncode == 1
    assert "Cannot read -: compressed with" in done.stderr
    assert lab.rejected().lines == ()
