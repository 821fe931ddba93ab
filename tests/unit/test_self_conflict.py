"""Which refused entries never go in, told from those whose field had another type elsewhere at the same time."""

import pytest

from indexer.writing.self_conflict import conflicts_with_itself

TYPES = "mapper [{}] cannot be changed from type [double] to [keyword]"
OBJECT = "can't merge a non object mapping [{}] with an object mapping"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ('{"a":[1,"x"]}', "a"),
        ('{"a":[null,[],1,["x"]]}', "a"),
        ('{"a":[true,1]}', "a"),
        ('{"a":[1,{}]}', "a"),
        ('{"a":[{"b":null},"x"]}', "a"),
        ('{"a":{"b":[1,"x"]}}', "a.b"),
        ('{"a":[{"b":1},{"b":"x"}]}', "a.b"),
        ('{"a":[{"b":1},{"b":{"c":1}}]}', "a.b"),
        ('{"a.b":1,"a":{"b":"x"}}', "a.b"),
        ('{"a":{"b":1},"a.b.c":2}', "a.b"),
        ('{"a.b":{"c":[{"d":1}]},"a":{"b.c":{"d":"x"}}}', "a.b.c.d"),
        ('{"a]":[1,"x"]}', "a]"),
        ('{"a\\n":[1,"x"]}', "a\n"),
        ('{"a":[1,"\\ud83d"]}', "a"),
        ('{"a":[1e999,"x"]}', "a"),
    ],
)
@pytest.mark.parametrize("reason", [TYPES, OBJECT])
def test_an_entry_with_two_types_of_the_named_field_conflicts_with_itself(
    entry: str, field: str, reason: str
) -> None:
    """In an array, in objects of one, or under a name with dots beside an object; refused like this by 2.19.6."""
    assert conflicts_with_itself(entry.encode(), reason.format(field))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ('{"a":"x"}', TYPES.format("a")),
        ('{"a":{"b":1}}', OBJECT.format("a")),
        ('{"a":["x",true,null]}', TYPES.format("a")),
        ('{"a":[1,2.5,1e30]}', TYPES.format("a")),
        ('{"a":1,"b":[1,"x"]}', TYPES.format("a")),
        ('{"ab":"x","a":1}', TYPES.format("a")),
        ('{"b":{"a":"x"},"a":1}', TYPES.format("a")),
        ('{"a":[1,"x"]}', "mapper [a] of different type"),
        ('{"a":[1,"x"]}', f"failed to parse {TYPES.format('a')}"),
        ('{"a":[1,"x"', TYPES.format("a")),
        ('[1,"x"]', TYPES.format("a")),
        ("[" * 100_000, TYPES.format("a")),
    ],
)
def test_any_other_entry_does_not(entry: str, reason: str) -> None:
    """It may have lost a race, and is sent again."""
    assert not conflicts_with_itself(entry.encode(), reason)
