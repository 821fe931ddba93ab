import bz2
import gzip
import io
import lzma
import os
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.reading import sources
from indexer.reading.files import FileFacts, look_at
from indexer.reading.sources import FileSource, GzipSource, StdinSource, open_log

NOISE = random.Random(4).randbytes(5000)  # hardly compressible
TEXT = b'{"activityType":"VIS"}\n' * 3000  # highly compressible
SHORT = TEXT[:230]
CONTENTS = {"noise": NOISE, "text": TEXT, "tiny": b"a", "lines": b"{}\n" * 10, "mixed": TEXT + NOISE + TEXT}


def members(*parts: bytes) -> bytes:
    return b"".join(map(gzip.compress, parts))


def read_all(source: FileSource, size: int) -> bytes:
    """Front to back in reads of one size."""
    fragments = []
    offset = 0
    while block := source.read_at(offset, size):
        fragments.append(block)
        offset += len(block)
    return b"".join(fragments)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "activity.log.1.gz"


@pytest.fixture(params=[7, 1000, sources.CHUNK], ids=lambda size: f"chunks of {size}")
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many compressed bytes are read at once: each boundary is met."""
    size: int = request.param
    monkeypatch.setattr(sources, "CHUNK", size)
    return size


_sources: list[GzipSource] = []


@pytest.fixture(autouse=True, scope="module")
def close_windows() -> Iterator[None]:
    """No window is left open."""
    yield
    while _sources:
        _sources.pop().close()


def opened(path: Path, data: bytes) -> GzipSource:
    path.write_bytes(data)
    _sources.append(GzipSource(os.open(path, os.O_RDONLY)))
    return _sources[-1]


# ---- a plain file


def test_a_plain_file_gives_bytes_at_an_offset_even_deleted(tmp_path: Path) -> None:
    """The open descriptor is what is read, and it can always grow."""
    path = tmp_path / "activity.log"
    path.write_bytes(NOISE)
    source = FileSource(os.open(path, os.O_RDONLY))
    path.unlink()
    assert source.read_at(10, 20) == NOISE[10:30]
    assert source.read_at(4990, 100) == NOISE[4990:]
    assert source.read_at(6000, 1) == b""
    assert source.status().st_size == 5000
    assert not source.complete
    source.close()
    with pytest.raises(OSError, match="descriptor"):
        source.status()


def zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("activity.log", data)
    return packed.getvalue()


NOT_READ = {
    "bzip2": bz2.compress(b"{}\n" * 100),
    "xz": lzma.compress(b"{}\n" * 100),
    "zip": zipped(b"{}\n" * 100),
    "zstd": bytes.fromhex("28b52ffd0458190000 7b7d0a 99e9d851"),  # what zstd 1.5 makes of an entry
    "lz4": bytes.fromhex("04224d186440a7 03000080 7b7d0a 00000000"),
    "7-Zip": b"7z\xbc\xaf\x27\x1c\0\4",
    "compress": b"\x1f\x9d\x90{",
}
BEGUN = NOT_READ | {"gzip": gzip.compress(SHORT), "none": SHORT}
NAMES = ["activity.log", "activity.log.GZ", "activity.log.gz", "activity.log.1", "activity.log.xz", "a"]


def found(path: Path, data: bytes) -> FileSource:
    """A log as the reader opens it."""
    path.write_bytes(data)
    facts = look_at(str(path))
    assert facts is not None
    source = open_log(facts)
    if isinstance(source, GzipSource):
        _sources.append(source)
    return source


@pytest.mark.parametrize("name", NAMES)
def test_first_bytes_tell_how_a_log_is_read(tmp_path: Path, name: str) -> None:
    """Whatever it is called."""
    path = tmp_path / name
    source = found(path, gzip.compress(TEXT))
    assert source.sequential
    assert read_all(source, 1000) == TEXT
    source.require_whole()
    plain = found(path, TEXT)
    assert not plain.sequential
    assert read_all(plain, 1000) == TEXT
    plain.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("packing", NOT_READ)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, packing: str) -> None:
    """No byte of it is given."""
    with pytest.raises(OSError, match=f"compressed with {packing}: unpack it") as error:
        found(tmp_path / name, NOT_READ[packing]).read_at(0, 100)
    assert error.value.strerror is not None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", BEGUN.values(), ids=BEGUN.keys())
def test_a_file_that_was_empty_when_it_was_opened_gives_no_compressed_byte(
    tmp_path: Path, name: str, data: bytes
) -> None:
    """An archive that is being made, under its usual name, is read; any other gives an error, and is opened again."""
    path = tmp_path / name
    source = found(path, b"")
    given = b""
    refused = False
    for start in range(0, len(data), 3):
        with path.open("ab") as file:
            file.write(data[start : start + 3])
        try:
            given += source.read_at(0, 1000) if start < 30 else read_all(source, 1000)[len(given) :]
        except OSError as error:
            refused = error.strerror is not None
            break
    named = name.lower().endswith(".gz")
    assert refused == ((data == SHORT) == named or data in NOT_READ.values())


def test_a_path_that_names_another_file_now_is_none(tmp_path: Path) -> None:
    """Nor is one that is gone; standard input is a dash."""
    (tmp_path / "a.log").write_bytes(b"x")
    assert isinstance(open_log(FileFacts("-", 0, 0, 0, 0)), StdinSource)
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
    source = opened(path, gzip.compress(content))
    assert not source.complete
    assert read_all(source, size) == content
    assert source.complete
    assert source.consumed == path.stat().st_size


@pytest.mark.parametrize("zeros", [0, 1, 20, 5000])
def test_members_and_trailing_zeros_are_no_hazard(path: Path, chunk: int, zeros: int) -> None:
    """Several archives in one, an empty one among them, and the padding of a tape at the end."""
    source = opened(path, members(TEXT, b"", NOISE, b"x") + bytes(zeros))
    assert read_all(source, 4096) == TEXT + NOISE + b"x"
    assert source.complete


@pytest.mark.parametrize(
    ("kept", "least"),
    [(0, 0), (1, 0), (9, 0), (15, 0), (500, 400), (-9, 4900), (-8, len(NOISE)), (-1, len(NOISE))],
)
def test_a_cut_archive_gives_what_it_has_and_is_not_complete(
    path: Path, chunk: int, kept: int, least: int
) -> None:
    """Whether it is cut in its header, in its data or in its checksum."""
    source = opened(path, gzip.compress(NOISE)[:kept])
    found = read_all(source, 100)
    assert NOISE.startswith(found)
    assert len(found) >= least
    assert not source.complete


def test_an_archive_cut_in_its_second_member_is_not_complete(path: Path, chunk: int) -> None:
    """The end of a member is an end only if nothing follows."""
    source = opened(path, members(TEXT) + members(NOISE)[:5])
    assert read_all(source, 1000) == TEXT
    assert not source.complete


@pytest.mark.parametrize("size", [100, 300_000])
@pytest.mark.parametrize("garbage", [b"no gzip" * 9, b'{"n":1}\n' * 1000, zipped(b"x" * 50)])
def test_what_follows_an_archive_and_is_none_does_not_spoil_what_lies_before(
    path: Path, chunk: int, size: int, garbage: bytes
) -> None:
    """All that is sound is given, and then one sentence; more garbage changes nothing."""
    source = opened(path, gzip.compress(TEXT) + gzip.compress(NOISE) + garbage)
    assert read_all(source, size) == TEXT + NOISE
    assert source.complete
    for _ in range(2):
        with pytest.raises(
            OSError, match=rf"not a sound \w+ archive after {len(TEXT + NOISE)} bytes of the log"
        ):
            source.require_whole()
        assert source.read_at(0, 10) == TEXT[:10]
        assert read_all(source, size) == TEXT + NOISE


@pytest.mark.parametrize("cut", [1, 8, 40])
def test_a_last_member_that_is_cut_does_not_spoil_those_before(path: Path, chunk: int, cut: int) -> None:
    """What its own bytes give is given too."""
    source = opened(path, gzip.compress(TEXT) + gzip.compress(NOISE)[:-cut])
    given = read_all(source, 1000)
    assert given.startswith(TEXT)
    assert (TEXT + NOISE).startswith(given)
    assert not source.complete
    with pytest.raises(OSError, match=f"the archive is cut short after {len(given)} bytes of the log"):
        source.require_whole()


def test_an_archive_of_which_nothing_can_be_read_is_an_error(path: Path) -> None:
    """It would be taken for an empty log."""
    with pytest.raises(OSError, match="not a sound gzip archive after 0 bytes") as error:
        opened(path, b"\x1f\x8bno gzip").read_at(0, 1000)
    assert error.value.strerror is not None


def test_a_damaged_checksum_is_an_error(path: Path, chunk: int) -> None:
    """What was inflated last is not what was compressed."""
    sound = bytearray(gzip.compress(TEXT))
    sound[-6] ^= 1
    source = opened(path, bytes(sound))
    with pytest.raises(OSError, match="not a sound gzip archive"):  # noqa: PT012 - at once, or at its end
        assert TEXT.startswith(read_all(source, 1000))
        source.require_whole()


def test_a_growing_archive_is_read_on_and_complete_in_the_end(path: Path, chunk: int) -> None:
    """What is not there yet is no end; each byte comes once."""
    data = members(TEXT[:3000], NOISE)
    source = opened(path, b"")
    found = b""
    for start in range(0, len(data), 611):
        with path.open("ab") as file:
            file.write(data[start : start + 611])
        while block := source.read_at(len(found), 500):
            found += block
        assert source.complete == (path.stat().st_size in {len(data), len(members(TEXT[:3000]))})
    assert found == TEXT[:3000] + NOISE


def test_a_complete_archive_that_grows_by_a_member_is_not_complete_until_it_is_read(path: Path) -> None:
    """As `cat >>` makes it."""
    source = opened(path, gzip.compress(TEXT))
    assert read_all(source, 5000) == TEXT
    with path.open("ab") as file:
        file.write(gzip.compress(NOISE))
    assert not source.complete
    assert source.read_at(len(TEXT), 10_000) == NOISE
    assert source.complete


def test_little_memory_is_taken_by_what_compresses_well(path: Path) -> None:
    """A read inflates what is asked for, not what the archive holds."""
    source = opened(path, gzip.compress(bytes(50_000_000)))
    assert source.read_at(30_000_000, 10) == bytes(10)
    assert len(source._ready) < 100_000
    assert not source.complete


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> GzipSource:
    """An archive of two members, read in any order."""
    path = tmp_path_factory.mktemp("archive") / "activity.log.gz"
    return opened(path, members(TEXT[:20_000], NOISE))


places = st.integers(min_value=0, max_value=26_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(places, st.integers(min_value=0, max_value=30_000)), max_size=6))
def test_any_reads_in_any_order_are_slices_of_the_log(
    mixed: GzipSource, reads: list[tuple[int, int]]
) -> None:
    """Forth, back, over the end of a member, beyond the end, of nothing."""
    data = TEXT[:20_000] + NOISE
    for offset, size in reads:
        assert mixed.read_at(offset, size) == data[offset : offset + size]


def test_one_byte_back_is_read_again(mixed: GzipSource) -> None:
    """However little it is."""
    assert mixed.read_at(100, 10) == TEXT[100:110]
    assert mixed.read_at(109, 10) == TEXT[109:119]


# ---- standard input


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StdinSource, int]]:
    """Standard input as a window, and the end that its writer holds."""
    out, into = os.pipe()
    source = StdinSource()
    monkeypatch.setattr(source, "_descriptor", out)
    yield source, into
    os.close(out)


def test_standard_input_is_read_as_it_comes(pipe: tuple[StdinSource, int]) -> None:
    """What was read from the last offset on can be read again; its end is known when the writer has closed it."""
    source, into = pipe
    assert source.read_at(0, 100) == b""
    os.write(into, b"one\ntwo\n")
    assert source.read_at(0, 3) == b"one"
    assert source.read_at(0, 100) == b"one\ntwo\n"
    os.write(into, b"three\n")
    assert source.read_at(4, 100) == b"two\nthree\n"
    assert not source.complete
    os.close(into)
    assert source.read_at(8, 100) == b"three\n"
    assert source.read_at(14, 100) == b""
    assert source.complete


def test_standard_input_that_is_compressed_is_an_error(pipe: tuple[StdinSource, int]) -> None:
    """It cannot be read again to be unpacked."""
    source, into = pipe
    os.write(into, gzip.compress(SHORT))
    with pytest.raises(OSError, match="compressed with gzip"):
        source.read_at(0, 1000)
    os.close(into)


def test_standard_input_is_left_open(pipe: tuple[StdinSource, int]) -> None:
    """It belongs to whoever started the command."""
    source, into = pipe
    source.close()
    os.write(into, b"x")
    os.close(into)
    assert source.read_at(0, 1) == b"x"
