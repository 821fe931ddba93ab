"""Foreign text costs time in proportion to its length, whatever stands in it: no pattern, and no parser, goes over it again and again.

The patterns are those of the product: each call of `re`, and of a compiled pattern, in the source of its modules.
Growth is measured, in CPU time of this process, at two sizes side by side; no absolute time is.
"""

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

import indexer
from indexer.elastic.failures import InvalidAnswer
from indexer.reading.entries import DEEPEST, Reason, entries_of, entry_in, nested_too_deeply
from indexer.reading.lines import Lines, LineSplitter
from indexer.verify.by_id import documents
from indexer.writing.checkpoint import Checkpoint

TEXTS: dict[str, Callable[[re.Pattern[Any], Any], object]] = {
    "search": re.Pattern.search, "match": re.Pattern.match, "fullmatch": re.Pattern.fullmatch,
    "findall": re.Pattern.findall, "split": re.Pattern.split,
    "finditer": lambda pattern, text: sum(1 for _ in pattern.finditer(text)),
    "sub": lambda pattern, text: pattern.sub(text[:0], text),
}  # fmt: skip
"""What a pattern does with a text, by the name of the method."""
UNKNOWN = {"alias": "zoomdata-activity"}
"""Names in patterns that are put together when they are used."""
SMALL, MIDDLE, LARGE = 4_000, 32_000, 1_000_000
TIMES = 4
"""How much more than its share a longer text may take: eight times the length, thirty-two times the time (a square takes sixty-four)."""
FLOOR = 0.02
"""Seconds that are too little to tell anything."""


@dataclass(frozen=True)
class Use:
    """A pattern, and what is done with it."""

    where: str
    pattern: re.Pattern[Any]
    method: str

    def of(self, text: str) -> Callable[[], object]:
        """Do it with a text."""
        subject = text if isinstance(self.pattern.pattern, str) else text.encode()
        return lambda: TEXTS[self.method](self.pattern, subject)


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(indexer.__path__, "indexer."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def uses() -> Iterator[Use]:
    for module in modules():
        for call in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            of, method = ast.unparse(call.func.value), call.func.attr
            if method not in TEXTS:
                continue
            where = f"{module.__name__}:{call.lineno}"
            if of == "re":
                text = eval(ast.unparse(call.args[0]), vars(module) | UNKNOWN)
                yield Use(where, re.compile(text), method)
            elif isinstance(pattern := _value(of, module), re.Pattern):
                yield Use(where, pattern, method)


def _value(expression: str, module: Any) -> object:
    try:
        return eval(expression, vars(module))
    except (NameError, AttributeError, KeyError, TypeError):
        return None


USES = list(uses())


def test_every_pattern_of_the_product_is_among_them() -> None:
    """Each compiled pattern of each module is used somewhere, and each call of `re` was understood."""
    compiled = {
        value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, re.Pattern) and value.pattern
    }
    assert {pattern.pattern for pattern in compiled} <= {use.pattern.pattern for use in USES}
    assert len(USES) > 30


# ---- hostile texts


UNITS = (
    '"', "\\", '\\"', "{", "[", "{}", "[]", " ", "\t", "\0", "1", "a", "_", "-", "/", "<", ">", "]", "@", "/*", "//", ",", ":", "é", '":"',
)  # fmt: skip
FAMILIES: dict[str, Callable[[int], str]] = {
    **{f"{unit!r} repeated": lambda size, unit=unit: unit * (size // len(unit)) for unit in UNITS},  # type: ignore[misc]
    "a cut line of quotes": lambda size: '{"user":"' + "{" * 501 + '\\"' * (size // 2),
    "a cut line of escapes": lambda size: '{"user":"' + "{" * 501 + "\\" * size,
    "nested objects": lambda size: '{"a":' * (size // 5),
    "blanks behind a date": lambda size: "2026-05-06 10:11" + " " * size,
    "brackets behind a date": lambda size: "2026-05-06 10:11" + " [" * (size // 2),
    "blanks before a sign": lambda size: " " * size + "@",
}
"""What is repeated, nested or cut, whatever the pattern is; so many characters of it."""


def attacks(use: Use, size: int) -> Iterator[str]:
    """A text that the pattern would match, cut at each place, with what stands before the cut repeated."""
    sample = _sample(_parse(use.pattern))
    for cut in range(1, len(sample) + 1):
        head = sample[:cut]
        for unit in (head, head[-1], head[-2:]):
            yield (head + unit * (size // len(unit)))[:size]


def _parse(pattern: re.Pattern[Any]) -> Any:
    return importlib.import_module("re._parser").parse(pattern.pattern, pattern.flags)


def _sample(items: Any) -> str:
    """The shortest text in which each part of a pattern stands."""
    return "".join(_one(str(kind), value) for kind, value in items)


def _one(kind: str, value: Any) -> Any:
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL" | "ANY":
            return "a" if value != ord("a") else "b"
        case "IN":
            return next(sign for sign in map(chr, [97, *range(32, 127)]) if _fits(sign, value))
        case "BRANCH":
            return max((_sample(each) for each in value[1]), key=len)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _sample(value[2]) * max(value[0], 1)
        case "SUBPATTERN":
            return _sample(value[-1])
        case "ATOMIC_GROUP":
            return _sample(value)
    return ""


def _fits(sign: str, members: Any) -> bool:
    negated = str(members[0][0]) == "NEGATE"
    kinds = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
    among = False
    for kind, value in members[negated:]:
        match str(kind):
            case "LITERAL":
                among |= value == ord(sign)
            case "RANGE":
                among |= value[0] <= ord(sign) <= value[1]
            case "CATEGORY":
                of, other = str(value).removeprefix("CATEGORY_").rpartition("NOT_")[2], "NOT_" in str(value)
                among |= (re.match(kinds[of], sign) is not None) is not other
    return among is not negated


# ---- how long it takes


def seconds(doing: Callable[[], object], at_most: float = float("inf")) -> float:
    """CPU time, the least of up to three times; once is enough where that is little."""
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        doing()
        least = min(least, time.process_time() - start)
        if least <= at_most:
            break
    return least


def assert_linear(what: str, make: Callable[[int], Callable[[], object]], *sizes: int) -> None:
    """A longer text takes its share of the time, or hardly any."""
    before = seconds(make(sizes[0]))
    for shorter, longer in pairwise(sizes):
        allowed = max(FLOOR, before) * TIMES * longer / shorter
        after = seconds(make(longer), max(FLOOR, allowed))
        assert after <= max(FLOOR, allowed), (
            f"{what}: {shorter} took {before:.4f} s, {longer} took {after:.4f} s"
        )
        before = after


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where}-{use.method}")
def test_a_pattern_takes_time_in_proportion_to_the_text(use: Use) -> None:
    """Whatever is repeated, nested or cut: general families of 1 MB, and what the pattern itself would match, cut and repeated."""
    text = ""

    def of_family(size: int) -> Callable[[], object]:
        return use.of(FAMILIES[name](size))

    def of_text(size: int) -> Callable[[], object]:
        return use.of(text[:size])

    for name in FAMILIES:
        assert_linear(f"{use.pattern.pattern!r}, {name}", of_family, SMALL, MIDDLE, LARGE)
    for text in attacks(use, MIDDLE):
        assert_linear(f"{use.pattern.pattern!r}, {text[:100]!r}", of_text, SMALL, MIDDLE)


LINES: dict[str, Callable[[int], bytes]] = {
    **{name: lambda size, make=make: make(size).encode() for name, make in FAMILIES.items()},  # type: ignore[misc]
    "objects in objects": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "200,000 levels": lambda size: b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}" * (size // size),
    "comments that do not end": lambda size: b'{"a":1,' + b"/*" * (size // 2),
    "strings in comments": lambda size: b"{" + b'/*"*/' * (size // 5) + b"}",
    "NULs and lines": lambda size: b"\0\n" * (size // 2),
    "NULs in lines": lambda size: b"{\0}" * (size // 3),
    "empty lines": lambda size: b"\n" * size,
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_takes_time_in_proportion_to_its_length(name: str) -> None:
    """From block to entry."""

    def read(size: int) -> Callable[[], object]:
        block = LINES[name](size)

        def doing() -> None:
            splitter = LineSplitter(0, LARGE * 2)
            found = splitter.feed(block)
            last = splitter.finish()
            for lines in [*found, *([last] if last else [])]:
                assert isinstance(lines, Lines)
                entries_of(lines, 1, "log")

        return doing

    assert_linear(name, read, SMALL, MIDDLE, LARGE)


@pytest.mark.parametrize("levels", [1_500, 200_000])
@pytest.mark.parametrize("form", [b"[", b'{"a":', b'[{"a":'])
def test_no_depth_ends_a_parser(levels: int, form: bytes) -> None:
    """A line of so many levels is rejected; what is no line, such as an answer, is not read, with an error that is expected."""
    line = b'{"a":' + form * levels
    assert entry_in(line) is Reason.NESTED_TOO_DEEPLY
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(line)
    with pytest.raises(InvalidAnswer):
        documents(b'{"hits":{"total":{"value":1,"relation":"eq"},"max_score":null,"hits":[' + line, b"", [])
    with pytest.raises(ValueError, match=r"limit|memory"):
        Checkpoint.from_json(line)


@pytest.mark.parametrize("hidden", [b'"%s"', b'"\\"%s', b'"%s\\', b"/*%s*/", b'/*"*/"%s"', b"//%s", b"/*%s"])
def test_brackets_are_no_levels_where_a_parser_does_not_see_them(hidden: bytes) -> None:
    """In a string and in a comment, which Elasticsearch allows; also where a line is cut within it."""
    assert not nested_too_deeply(b'{"a":' + hidden % (b"{" * 2 * DEEPEST))


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_no_encoding_hides_levels(coding: str) -> None:
    """A parser that reads UTF-16 meets no quote in a sign such as ∢ (2222), which has its byte twice; here it may stand for one."""
    assert nested_too_deeply(('{"\u2241":' + "[" * 2 * DEEPEST + '"\u2241"').encode(coding))
    assert entry_in(b"\0" * 5000 + b'{"a":[' + b"{}," * 2000 + b"1]}") == b'{"a":[' + b"{}," * 2000 + b"1]}"


@pytest.mark.parametrize("before", [b'/*"*/', b'//"\r', b'"\\\\"', b'"/*"', b'"//"', b'/*\\"*/', b'"\\\r"'])
def test_nothing_hides_the_levels_that_a_parser_sees(before: bytes) -> None:
    """A quote in a comment opens no string, the mark of a comment in a string opens none."""
    assert nested_too_deeply(b'{"a":' + before + b"[" * 2 * DEEPEST)
