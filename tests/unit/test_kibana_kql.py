"""The KQL parser of the dashboard tests."""

from typing import Any

import pytest

from tests.support.kibana_kql import query

A, B, C = ({"match": {name: "1"}} for name in "abc")


@pytest.mark.parametrize(
    ("kql", "wanted"),
    [
        ("", {"match_all": {}}),
        ("a: 1", A),
        ('a: "x \\"y\\" z"', {"match_phrase": {"a": 'x "y" z'}}),
        ("a: *", {"exists": {"field": "a"}}),
        ("a: *b/c", {"wildcard": {"a": {"value": "*b/c"}}}),
        ("a >= 5", {"range": {"a": {"gte": "5"}}}),
        ('a < "now-5m"', {"range": {"a": {"lt": "NOW||-5m"}}}),
        ("not a: 1", {"bool": {"must_not": A}}),
        ("a: 1 and b: 1", {"bool": {"filter": [A, B]}}),
        ("a: (1 or 2)", {"bool": {"should": [A, {"match": {"a": "2"}}], "minimum_should_match": 1}}),
        (
            "a: 1 or b: 1 and c: 1",
            {"bool": {"should": [A, {"bool": {"filter": [B, C]}}], "minimum_should_match": 1}},
        ),
        (
            "(a: 1 or b: 1) and c: 1",
            {"bool": {"filter": [{"bool": {"should": [A, B], "minimum_should_match": 1}}, C]}},
        ),
    ],
)
def test_read(kql: str, wanted: dict[str, Any]) -> None:
    """`and` has precedence over `or`; a quoted value is a phrase, `*` matches any value."""
    assert query(kql, "NOW") == wanted


@pytest.mark.parametrize("kql", ["a", "a: ", "a: 1 b: 2", "a: (1 or 2", "and: 1", "a: 1 and", 'a: "x'])
def test_refused(kql: str) -> None:
    """Invalid KQL, or KQL outside the supported part, is an error."""
    with pytest.raises((ValueError, IndexError)):
        query(kql, "NOW")
