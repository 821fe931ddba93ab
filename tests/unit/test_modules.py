"""A module declaration changes only in the flags of the required modules."""

import struct
import zipfile
from pathlib import Path

import pytest

from indexer.demo.modules import STATIC, make_optional, optional_requires

MANDATED = 0x8000


def declaration(*required: tuple[str, int]) -> tuple[bytes, list[int]]:
    """A module-info.class (Java Virtual Machine Specification, 4), and where the flags of what it requires stand."""
    pool = [b""]

    def text(value: str) -> int:
        pool.append(b"\x01" + struct.pack(">H", len(value)) + value.encode())
        return len(pool) - 1

    def module(name: str) -> int:
        pool.append(b"\x13" + struct.pack(">H", text(name)))
        return len(pool) - 1

    pool += [b"\x05" + struct.pack(">q", 7), b""]  # a long takes two places
    own, attribute, other = module("org.example"), text("Module"), text("SourceFile")
    names = [module(name) for name, _ in required]
    body = struct.pack(">HHHH", own, 0, 0, len(required))
    flags = [len(body) + 6 * n + 2 for n in range(len(required))]
    for number, (_, how) in zip(names, required, strict=True):
        body += struct.pack(">HHH", number, how, 0)
    body += bytes(8)  # exports, opens, uses, provides
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, 53, len(pool)) + b"".join(pool)
    head += struct.pack(">HHHHHH", 0x8000, own, 0, 0, 0, 0) + struct.pack(">H", 2)
    head += struct.pack(">HIH", other, 2, attribute)
    head += struct.pack(">HI", attribute, len(body))
    return head + body, [len(head) + at for at in flags]


@pytest.mark.parametrize("named", [(), ("jdk.jdi",), ("jdk.jdi", "jdk.jlink"), ("jdk.none",)], ids=str)
def test_what_is_named_becomes_optional(named: tuple[str, ...]) -> None:
    """It keeps its other flags."""
    required = [("java.base", MANDATED), ("jdk.jdi", 0x20), ("jdk.jlink", 0), ("jdk.net", 0)]
    before, flags = declaration(*required)
    expected = bytearray(before)
    for (name, how), at in zip(required, flags, strict=True):
        struct.pack_into(">H", expected, at, how | (STATIC if name in named else 0))
    assert optional_requires(before, frozenset(named)) == bytes(expected)


def test_a_jar_keeps_all_else(tmp_path: Path) -> None:
    """Names, order and content of its other files."""
    before, _ = declaration(("jdk.jdi", 0))
    jar = tmp_path / "some.jar"
    content = {
        "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n",
        "module-info.class": before,
        "a/B.class": b"x",
    }
    with zipfile.ZipFile(jar, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    make_optional(jar, frozenset({"jdk.jdi"}))
    with zipfile.ZipFile(jar) as file:
        found = {name: file.read(name) for name in file.namelist()}
    assert found == content | {"module-info.class": optional_requires(before, frozenset({"jdk.jdi"}))}
    assert [path.name for path in tmp_path.iterdir()] == ["some.jar"]
