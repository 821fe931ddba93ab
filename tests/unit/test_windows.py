import gzip
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.reading import windows
from indexer.reading.files import FileFacts, look_at
from indexer.reading.windows import Archive, PlainFile, StandardInput, open_log

NOISE = random.Random(4).randbytes(5000)  # hardly compressible
TEXT = b'{"activityType":"VIS"}\n' * 3000  # highly compressible
CONTENTS = {"noise": NOISE, "text": TEXT, "tiny": b"a", "lines": b"{}\n" * 10, "mixed": TEXT + NOISE + TEXT}


def members(*parts: bytes) -> bytes:
    return b"".join(map(gzip.compress, parts))


def read_all(window: PlainFile, size: int) -> bytes:
    """Front to back in reads of one size."""
    pieces = []
    offset = 0
    while block := window.read_at(offset, size):
        pieces.append(block)
        offset += len(block)
    return b"".join(pieces)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "activity.log.1.gz"


@pytest.fixture(params=[7, 1000, windows.CHUNK], ids=lambda size: f"chunks of {size}")
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many compressed bytes are read at once: each boundary is met."""
    size: int = request.param
    monkeypatch.setattr(windows, "CHUNK", size)
    return size


_windows: list[Archive] = []


@pytest.fixture(autouse=True, scope="module")
def close_windows() -> Iterator[None]:
    """No window is left open."""
    yield
    while _windows:
        _windows.pop().close()


def opened(path: Path, data: bytes) -> Archive:
    path.write_bytes(data)
    _windows.append(Archive(str(path)))
    return _windows[-1]


# ---- a plain file


def test_a_plain_file_gives_bytes_at_an_offset_even_deleted(tmp_path: Path) -> None:
    """The open descriptor is what is read, and it can always grow."""
    path = tmp_path / "activity.log"
    path.write_bytes(NOISE)
    window = PlainFile(str(path))
    path.unlink()
    assert window.read_at(10, 20) == NOISE[10:30]
    assert window.read_at(4990, 100) == NOISE[4990:]
    assert window.read_at(6000, 1) == b""
    assert window.status().st_size == 5000
    assert not window.complete
    window.close()
    with pytest.raises(OSError, match="descriptor"):
        window.status()


def test_the_name_tells_how_a_log_is_read(tmp_path: Path) -> None:
    """An archive ends in .gz, standard input is a dash, all else is plain; a path that names another file is none."""
    for name in ("a.log", "a.log.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"x"))
    kinds = [
        type(open_log(look_at(str(p)) or FileFacts(str(p), 0, 0, 0, 0)))
        for p in (tmp_path / "a.log", tmp_path / "a.log.gz", "-")
    ]
    assert kinds == [PlainFile, Archive, StandardInput]
    for gone in ("gone.log", "a.log"):
        with pytest.raises(FileNotFoundError):
            open_log(FileFacts(str(tmp_path / gone), 0, 0, 0, 0))


# ---- an archive


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("size", [1, 100, 300_000])
def test_an_archive_reads_as_what_was_compressed(path: Path, chunk: int, content: bytes, size: int) -> None:
    """However much is asked for at once, to an end that is known to be one."""
    if size * 20_000 < len(content):
        content = content[-size * 5000 :]
    window = opened(path, gzip.compress(content))
    assert not window.complete
    assert read_all(window, size) == content
    assert window.complete
    assert window.consumed == path.stat().st_size


@pytest.mark.parametrize("zeros", [0, 1, 20, 5000])
def test_members_and_trailing_zeros_are_no_hazard(path: Path, chunk: int, zeros: int) -> None:
    """Several archives in one, an empty one among them, and the padding of a tape at the end."""
    window = opened(path, members(TEXT, b"", NOISE, b"x") + bytes(zeros))
    assert read_all(window, 4096) == TEXT + NOISE + b"x"
    assert window.complete


@pytest.mark.parametrize(
    ("kept", "least"),
    [(0, 0), (1, 0), (9, 0), (15, 0), (500, 400), (-9, 4900), (-8, len(NOISE)), (-1, len(NOISE))],
)
def test_a_cut_archive_gives_what_it_has_and_is_not_complete(
    path: Path, chunk: int, kept: int, least: int
) -> None:
    """Whether it is cut in its header, in its data or in its checksum."""
    window = opened(path, gzip.compress(NOISE)[:kept])
    found = read_all(window, 100)
    assert NOISE.startswith(found)
    assert len(found) >= least
    assert not window.complete


def test_an_archive_cut_in_its_second_member_is_not_complete(path: Path, chunk: int) -> None:
    """The end of a member is an end only if nothing follows."""
    window = opened(path, members(TEXT) + members(NOISE)[:5])
    assert read_all(window, 1000) == TEXT
    assert not window.complete


@pytest.mark.parametrize("data", [b"{}\n" * 100, b"\0" * 100, gzip.compress(NOISE) + b"no gzip" * 9])
def test_what_is_no_gzip_is_an_error(path: Path, data: bytes) -> None:
    """Be it from the first byte on or behind a sound member."""
    with pytest.raises(OSError, match="not a sound gzip archive") as error:
        read_all(opened(path, data), 1000)
    assert error.value.strerror is not None


def test_a_damaged_checksum_is_an_error(path: Path, chunk: int) -> None:
    """What was inflated is not what was compressed."""
    sound = bytearray(gzip.compress(TEXT))
    sound[-6] ^= 1
    with pytest.raises(OSError, match="not a sound gzip archive"):
        read_all(opened(path, bytes(sound)), 1000)


def test_a_growing_archive_is_read_on_and_complete_in_the_end(path: Path, chunk: int) -> None:
    """What is not there yet is no end; each byte comes once."""
    data = members(TEXT[:3000], NOISE)
    window = opened(path, b"")
    found = b""
    for start in range(0, len(data), 611):
        with path.open("ab") as file:
            file.write(data[start : start + 611])
        while block := window.read_at(len(found), 500):
            found += block
        assert window.complete == (path.stat().st_size in {len(data), len(members(TEXT[:3000]))})
    assert found == TEXT[:3000] + NOISE


def test_a_complete_archive_that_grows_by_a_member_is_not_complete_until_it_is_read(path: Path) -> None:
    """As `cat >>` makes it."""
    window = opened(path, gzip.compress(TEXT))
    assert read_all(window, 5000) == TEXT
    with path.open("ab") as file:
        file.write(gzip.compress(NOISE))
    assert not window.complete
    assert window.read_at(len(TEXT), 10_000) == NOISE
    assert window.complete


def test_little_memory_is_taken_by_what_compresses_well(path: Path) -> None:
    """A read inflates what is asked for, not what the archive holds."""
    window = opened(path, gzip.compress(bytes(50_000_000)))
    assert window.read_at(30_000_000, 10) == bytes(10)
    assert len(window._ready) < 100_000
    assert not window.complete


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive of two members, read in any order."""
    path = tmp_path_factory.mktemp("archive") / "activity.log.gz"
    return opened(path, members(TEXT[:20_000], NOISE))


places = st.integers(min_value=0, max_value=26_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(places, st.integers(min_value=0, max_value=30_000)), max_size=6))
def test_any_reads_in_any_order_are_slices_of_the_log(mixed: Archive, reads: list[tuple[int, int]]) -> None:
    """Forth, back, over the end of a member, beyond the end, of nothing."""
    data = TEXT[:20_000] + NOISE
    for offset, size in reads:
        assert mixed.read_at(offset, size) == data[offset : offset + size]


def test_one_byte_back_is_read_again(mixed: Archive) -> None:
    """However little it is."""
    assert mixed.read_at(100, 10) == TEXT[100:110]
    assert mixed.read_at(109, 10) == TEXT[109:119]


# ---- standard input


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StandardInput, int]]:
    """Standard input as a window, and the end that its writer holds."""
    out, into = os.pipe()
    window = StandardInput()
    monkeypatch.setattr(window, "_descriptor", out)
    yield window, into
    os.close(out)


def test_standard_input_is_read_as_it_comes(pipe: tuple[StandardInput, int]) -> None:
    """What was read from the last offset on can be read again; its end is known when the writer has closed it."""
    window, into = pipe
    assert window.read_at(0, 100) == b""
    os.write(into, b"one\ntwo\n")
    assert window.read_at(0, 3) == b"one"
    assert window.read_at(0, 100) == b"one\ntwo\n"
    os.write(into, b"three\n")
    assert window.read_at(4, 100) == b"two\nthree\n"
    assert not window.complete
    os.close(into)
    assert window.read_at(8, 100) == b"three\n"
    assert window.read_at(14, 100) == b""
    assert window.complete


def test_standard_input_is_left_open(pipe: tuple[StandardInput, int]) -> None:
    """It belongs to whoever started the command."""
    window, into = pipe
    window.close()
    os.write(into, b"x")
    os.close(into)
    assert window.read_at(0, 1) == b"x"
