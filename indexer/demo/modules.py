"""Makes required Java modules optional, so that a server starts on a Java runtime without them.

A module declaration is a class file with the attribute `Module` (Java Virtual Machine Specification, 4.7.25). A module that is
required with ACC_STATIC_PHASE (`requires static` in Java) may be missing at run time.
"""

import struct
import zipfile
from pathlib import Path

STATIC = 0x0040
DECLARATION = "module-info.class"
SIZES = (
    {7: 2, 8: 2, 16: 2, 19: 2, 20: 2, 15: 3} | dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4) | {5: 8, 6: 8}
)
"""Bytes of a constant after its tag (4.4, table 4.4-A), except text (1), which has its length."""
TEXT, MODULE = 1, 19
TWICE = (5, 6)
"""Constants that take two entries of the pool."""


def make_optional(jar: Path, names: frozenset[str]) -> None:
    """Make these modules optional for the module in a jar."""
    changed = jar.with_suffix(".changed")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(
                entry, optional_requires(content, names) if entry.filename == DECLARATION else content
            )
    changed.replace(jar)


def optional_requires(declaration: bytes, names: frozenset[str]) -> bytes:
    """The module declaration with `requires static` for these modules."""
    changed = bytearray(declaration)
    constants, at = _constants(declaration)
    at += 6  # access, this, super
    at += 2 + 2 * _number(declaration, at)  # interfaces
    at += 4  # a module has neither fields nor methods
    count, at = _number(declaration, at), at + 2
    for _ in range(count):
        name, size = struct.unpack_from(">HI", declaration, at)
        if constants[name] == "Module":
            first = at + 6 + 6  # its name, flags and version
            for number in range(_number(declaration, first)):
                place = first + 2 + 6 * number
                required = constants[int(constants[_number(declaration, place)])]
                if required in names:
                    struct.pack_into(">H", changed, place + 2, _number(declaration, place + 2) | STATIC)
        at += 6 + size
    return bytes(changed)


def _constants(declaration: bytes) -> tuple[dict[int, str], int]:
    """The constant pool, and the offset after it: number → text, or for a module the number of its name."""
    found: dict[int, str] = {}
    count, number, at = _number(declaration, 8), 1, 10
    while number < count:
        tag = declaration[at]
        if tag == TEXT:
            size = _number(declaration, at + 1)
            found[number] = declaration[at + 3 : at + 3 + size].decode(errors="replace")
            at += 3 + size
        else:
            if tag == MODULE:
                found[number] = str(_number(declaration, at + 1))
            at += 1 + SIZES[tag]
        number += 2 if tag in TWICE else 1
    return found, at


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2])
