"""KQL → query DSL as Kibana generates it (guide, "Kibana Query Language"), for the part of KQL in mappings/kibana/.

a and not (b or c)   field: value   field: "a phrase"   field: (one or other)   field: *   field: *end   field >= "now-5m"
"""

import re
from typing import Any

Json = dict[str, Any]
TOKEN = re.compile(r'\s*(?:(?P<sign>[():]|[<>]=?)|(?P<phrase>"(?:[^"\\]|\\.)*")|(?P<word>[^\s():<>"]+))')
RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def query(kql: str, now: str) -> Json:
    """The query for KQL, with `now` as given. Raises ValueError for invalid or unsupported KQL."""
    if not kql.strip():
        return {"match_all": {}}
    reader = _Reader(kql, now)
    found = reader.either()
    if reader.tokens:
        raise ValueError(f"{kql!r} goes on after its end: {reader.tokens}")
    return found


class _Reader:
    def __init__(self, kql: str, now: str) -> None:
        self.now = now
        self.tokens: list[str] = []
        end = 0
        while end < len(kql.rstrip()):
            found = TOKEN.match(kql, end)
            if found is None:
                raise ValueError(f"{kql!r} cannot be read from {kql[end:]!r} on")
            self.tokens.append(found[0].strip())
            end = found.end()

    def either(self) -> Json:
        return self._joined("or", self.both, "should")

    def both(self) -> Json:
        return self._joined("and", self.negated, "filter")

    def negated(self) -> Json:
        if self._is("not"):
            self.tokens.pop(0)
            return {"bool": {"must_not": self.negated()}}
        return self.single()

    def single(self) -> Json:
        if self._is("("):
            self.tokens.pop(0)
            found = self.either()
            self._take(")")
            return found
        field, sign = self._value(), self.tokens.pop(0)
        if sign in RANGES:
            return {"range": {field: {RANGES[sign]: self._moment(self._value())}}}
        if sign != ":":
            raise ValueError(f"{sign!r} after {field!r}")
        if not self._is("("):
            return self._match(field)
        self.tokens.pop(0)
        either = [self._match(field)]
        while self._is("or"):
            self.tokens.pop(0)
            either.append(self._match(field))
        self._take(")")
        return {"bool": {"should": either, "minimum_should_match": 1}}

    def _joined(self, word: str, part: Any, clause: str) -> Json:
        parts = [part()]
        while self._is(word):
            self.tokens.pop(0)
            parts.append(part())
        if len(parts) == 1:
            only: Json = parts[0]
            return only
        return {"bool": {clause: parts} | ({"minimum_should_match": 1} if clause == "should" else {})}

    def _match(self, field: str) -> Json:
        phrase = self.tokens[0].startswith('"')
        value = self._value()
        if value == "*" and not phrase:
            return {"exists": {"field": field}}
        if "*" in value and not phrase:  # as Kibana asks a keyword field
            return {"wildcard": {field: {"value": value}}}
        return {"match_phrase" if phrase else "match": {field: value}}

    def _is(self, token: str) -> bool:
        return bool(self.tokens) and self.tokens[0].lower() == token

    def _take(self, token: str) -> None:
        if not self._is(token):
            raise ValueError(f"{token!r} is missing before {self.tokens}")
        self.tokens.pop(0)

    def _value(self) -> str:
        token = self.tokens.pop(0)
        if token in "():<=>=" or token.lower() in {"and", "or", "not"}:
            raise ValueError(f"{token!r} stands where a field or value belongs")
        return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token

    def _moment(self, value: str) -> str:
        """Date math relative to the given time instead of the server's clock."""
        return value.replace("now", f"{self.now}||", 1) if value.startswith("now") else value
