"""`verify --seals`: one defect in a good index is found, and nothing else; a good index has none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from indexer.seals.keys import create_key
from indexer.verify import sealed_index
from indexer.verify.seal_findings import DEFECTS, Kind, SealVerification
from tests.support.lab import Lab, joined, numbered


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_index, "AGAIN_AFTER", 0.1)


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """200 entries and a rejected line, sealed; the rest is sealed after a rollover."""
    lab.install()
    lab = lab.sealing()
    lab.log(joined(numbered(100)) + b"no entry\n")
    lab.run()
    lab.client.indices.rollover(alias=lab.connection.alias)
    lab.append(numbered(100, start=100))
    lab.run()
    return lab


def counts(result: SealVerification) -> dict[Kind, int]:
    """What there is of each kind."""
    return {kind: count for kind in Kind if (count := getattr(result, kind))}


GOOD = {Kind.PRESENT: 200, Kind.REJECTED: 1}


def ids(lab: Lab) -> dict[int, tuple[str, str]]:
    """Index and id of each entry, by its number."""
    return {hit["_source"]["n"]: (hit["_index"], hit["_id"]) for hit in lab.hits(source=True)}


def test_a_good_index_agrees(lab: Lab) -> None:
    result = lab.verify_seals()
    assert (counts(result), result.problems, result.findings) == (GOOD, (), ())
    assert result.agrees
    assert result.read == 201
    assert result.checkpoints >= 2


def test_what_is_sealed_just_before_the_seals_are_read_is_found(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though no search finds it yet: only the newest seals make that matter."""
    client, alias = lab.client, lab.connection.alias
    client.indices.put_settings(index=alias, settings={"index.refresh_interval": "-1"})
    read_seals = sealed_index.Audit._read_seals

    def after_a_sealing(self: sealed_index.Audit, sink: Callable[[int, bytes, bytes], None]) -> Any:
        lab.append(numbered(10, start=200))
        lab.run()
        client.indices.refresh(index=lab.connection.seals)
        return read_seals(self, sink)

    monkeypatch.setattr(sealed_index.Audit, "_read_seals", after_a_sealing)
    result = lab.verify_seals()
    assert (counts(result), result.findings) == (GOOD | {Kind.PRESENT: 210}, ())
    assert result.agrees


def test_without_seals_nothing_agrees(lab: Lab) -> None:
    lab.client.indices.delete(index=lab.connection.seals)
    lab.install()
    result = lab.verify_seals()
    assert not result.agrees
    assert result.problems == (f"There are no seals in {lab.connection.seals}.",)
    assert result.extra == 200


# ---- entries


def changed(lab: Lab) -> None:
    index, identity = ids(lab)[7]
    lab.client.index(index=index, id=identity, document={"n": 7, "activityType": "VIS", "eventDate": "2026"})


def deleted(lab: Lab) -> None:
    index, identity = ids(lab)[7]
    lab.client.delete(index=index, id=identity)


def inserted(lab: Lab) -> None:
    """Under an id that such a file could have."""
    index, identity = ids(lab)[7]
    forged = f"{identity[:8]}{int(identity[8:20], 16) + 1:012x}{identity[20:]}"
    lab.client.index(index=index, id=forged, document={"n": 7, "activityType": "LOGIN"})


def inserted_as_another_file(lab: Lab) -> None:
    index, identity = ids(lab)[7]
    lab.client.index(index=index, id=f"00000000{identity[8:]}", document={"n": 7, "activityType": "LOGIN"})


def inserted_without_a_place(lab: Lab) -> None:
    lab.client.index(index=lab.connection.alias, document={"n": 7, "activityType": "LOGIN"})


def swapped(lab: Lab) -> None:
    (index, one), (_, other) = ids(lab)[7], ids(lab)[8]
    first, second = (lab.client.get_source(index=index, id=it).body for it in (one, other))
    lab.client.index(index=index, id=one, document=second)
    lab.client.index(index=index, id=other, document=first)


def doubled(lab: Lab) -> None:
    index, identity = ids(lab)[7]
    source = lab.client.get_source(index=index, id=identity).body
    lab.client.index(index=ids(lab)[150][0], id=identity, document=source)


def kept(lab: Lab) -> list[dict[str, Any]]:
    """The rejected lines."""
    lab.client.indices.refresh(index=lab.connection.rejected)
    hits: list[dict[str, Any]] = lab.client.search(index=lab.connection.rejected)["hits"]["hits"]
    return hits


def rejected_changed(lab: Lab) -> None:
    (hit,) = kept(lab)
    lab.client.index(
        index=lab.connection.rejected, id=hit["_id"], document=hit["_source"] | {"bytes": "bm8="}
    )


def rejected_deleted(lab: Lab) -> None:
    (hit,) = kept(lab)
    lab.client.delete(index=lab.connection.rejected, id=hit["_id"])


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (changed, {Kind.PRESENT: -1, Kind.DIFFERENT: 1}),
        (deleted, {Kind.PRESENT: -1, Kind.MISSING: 1}),
        (inserted, {Kind.EXTRA: 1}),
        (inserted_as_another_file, {Kind.EXTRA: 1}),
        (inserted_without_a_place, {Kind.EXTRA: 1}),
        (swapped, {Kind.PRESENT: -2, Kind.DIFFERENT: 2}),
        (doubled, {Kind.PRESENT: -1, Kind.DOUBLED: 1}),
        (rejected_changed, {Kind.REJECTED: -1, Kind.DIFFERENT: 1}),
        (rejected_deleted, {Kind.REJECTED: -1, Kind.MISSING: 1}),
    ],
)
def test_what_is_done_to_entries_is_found(
    lab: Lab, tamper: Callable[[Lab], None], found: dict[Kind, int]
) -> None:
    tamper(lab)
    result = lab.verify_seals()
    assert not result.agrees
    expected = {kind: count for kind in Kind if (count := GOOD.get(kind, 0) + found.get(kind, 0))}
    assert (counts(result), result.problems) == (expected, ())
    assert len(result.findings) == sum(expected.get(kind, 0) for kind in DEFECTS)


def test_verify_on_log_files_reports_entries_that_no_seal_knows(lab: Lab) -> None:
    """A line that is only in its seal has left the file; it is not held against anybody."""
    log = lab.log(joined(numbered(100)) + b"no entry\n")
    assert lab.verify(scan=True).agrees
    inserted(lab)
    inserted_as_another_file(lab)
    result = lab.verify(scan=True)
    assert (result.extra, result.agrees) == (1, False)
    (finding,) = result.findings
    assert (finding.kind.value, finding.file) == ("extra", str(log))


# ---- seals


def last(lab: Lab, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """The newest documents of a kind."""
    lab.client.indices.refresh(index=lab.connection.seals)
    hits = lab.client.search(index=lab.connection.seals, query={"term": {"kind": kind}}, size=100)["hits"][
        "hits"
    ]
    return sorted(hits, key=lambda hit: str(hit["_id"]))[-count:]


def remove(lab: Lab, hits: Sequence[dict[str, Any]]) -> None:
    """As an admin would."""
    for hit in hits:
        lab.client.delete(index=hit["_index"], id=hit["_id"], refresh=True)


def seals_emptied(lab: Lab) -> None:
    for kind in ("start", "lines", "head", "checkpoint"):
        remove(lab, last(lab, kind, 100))


def leaf_deleted(lab: Lab) -> None:
    (hit,) = last(lab, "lines")
    lab.client.delete(index=lab.connection.seals, id=hit["_id"])


def leaf_rewritten(lab: Lab) -> None:
    (hit,) = last(lab, "lines")
    lab.client.index(index=lab.connection.seals, id=hit["_id"], document=hit["_source"] | {"blank": 7})


def note_rewritten(lab: Lab) -> None:
    (hit,) = last(lab, "checkpoint")
    origin, size, root, rest = hit["_source"]["note"].split("\n", 3)
    note = "\n".join([origin, size, f"{'B' if root[0] == 'A' else 'A'}{root[1:]}", rest])
    lab.client.index(index=lab.connection.seals, id=hit["_id"], document=hit["_source"] | {"note": note})


@pytest.mark.parametrize("tamper", [seals_emptied, leaf_deleted, leaf_rewritten, note_rewritten])
def test_what_is_done_to_seals_is_found(lab: Lab, tamper: Callable[[Lab], None]) -> None:
    tamper(lab)
    lab.client.indices.refresh(index=lab.connection.seals)
    result = lab.verify_seals()
    assert not result.agrees
    assert result.problems


def test_seals_of_another_key_are_found(lab: Lab) -> None:
    """Somebody makes it all again, with a key of his own."""
    seals_emptied(lab)
    remove(lab, [hit for hit in lab.hits(source=True) if hit["_source"]["n"] == 7])
    other = lab.state.state_dir.parent / "other"
    forged = replace(
        lab, state=replace(lab.state, state_dir=other), seals=replace(lab.seals, seal_key_file=other / "key")
    )
    other.mkdir()
    create_key(other / "key")
    lab.log(joined([*numbered(7), *numbered(193, start=7)]))
    forged.run()
    result = lab.verify_seals()
    assert not result.agrees
    assert any("none of the keys given has signed it" in problem for problem in result.problems)


def cut(lab: Lab) -> None:
    """The newest entries, and the newest seals with them, as if they had never been."""
    remove(lab, [hit for hit in lab.hits(source=True) if hit["_source"]["n"] >= 100])
    oldest = last(lab, "lines", 2)[0]["_id"]
    left = int(oldest[17:29]) + 2  # a head follows
    seals = [hit for kind in ("lines", "head", "checkpoint") for hit in last(lab, kind, 100)]
    remove(lab, [hit for hit in seals if int(hit["_id"][17:29]) >= left + hit["_id"].endswith("-checkpoint")])


def test_the_newest_hours_removed_are_found_by_an_anchor(lab: Lab) -> None:
    cut(lab)
    result = lab.verify_seals(lab.state.state_dir)
    assert not result.agrees
    assert any("it is cut" in problem for problem in result.problems)


def test_without_an_anchor_a_cut_is_not_found_before_the_next_seal_is_due(lab: Lab) -> None:
    """README says so."""
    cut(lab)
    assert lab.verify_seals().agrees
