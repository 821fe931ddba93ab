"""Indices whose shard does not answer: of a node that is down, or of an index that a rollover made a moment ago.

A read met such an index at a rollover once, and failed; `summary` left its entries out without a word.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from indexer.elastic import complete
from indexer.elastic.client import translate_errors
from indexer.elastic.fields import entries_by_type, ignored
from indexer.elastic.point_in_time import SHARDS
from indexer.errors import Unavailable
from indexer.report import report
from indexer.report.queries import Period
from indexer.report.sections import sections
from indexer.status.summary import summarise
from indexer.zoomdata.facts import fields_by_type
from tests.support.lab import Lab, numbered

ROOM = "index.routing.allocation.require._name"
"""Which node may have a shard."""
MAY = Period(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))

READS: dict[str, Callable[[Lab], object]] = {
    "verify by scan": lambda lab: lab.verify(scan=True).present,
    "verify by lookup": lambda lab: lab.verify(scan=False).present,
    "verify --seals": lambda lab: lab.verify_seals().present,
    "summary": lambda lab: summarise(lab.client, lab.connection.alias).entries,
    "report": lambda lab: report.collect(lab.client, lab.connection.alias, MAY, sections()).entries,
    "activity types": lambda lab: entries_by_type(lab.client, lab.connection.alias, 10),
    "ignored values": lambda lab: ignored(lab.cluster).entries,
    "fields by type": lambda lab: fields_by_type(lab.client, lab.connection.alias).keys(),
}


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """With sealed entries."""
    sealed = lab.sealing()
    sealed.append(numbered(30))
    sealed.run()
    lab.client.indices.refresh(index=lab.connection.alias)
    return sealed


def roll_over_to_no_shard(lab: Lab) -> None:
    """The new index is behind the alias, and no node may have its shard."""
    lab.client.indices.rollover(
        alias=lab.connection.alias, settings={ROOM: "nowhere"}, wait_for_active_shards="0"
    )


def before_the_first_read(lab: Lab, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let something happen just before the first search of the alias, or point in time.

    For the latter OpenSearch is asked for the number of shards.
    """
    request, left = complete.Client.perform_request, [happens]

    def observed(self: complete.Client, method: str, path: str, **how: Any) -> Any:
        if left and path.startswith(f"/{lab.connection.alias}/") and path.endswith((*complete.READS, SHARDS)):
            left.pop()()
        return request(self, method, path, **how)

    monkeypatch.setattr(complete.Client, "perform_request", observed)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_shard_that_is_late_is_waited_for(
    lab: Lab, read: Callable[[Lab], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is what was read without the new index."""

    def come_late() -> None:
        lab.client.indices.put_settings(index=f"{lab.connection.alias}-0*", settings={ROOM: None})

    def roll_over() -> None:
        roll_over_to_no_shard(lab)
        threading.Timer(0.3, come_late).start()

    found = read(lab)
    before_the_first_read(lab, monkeypatch, roll_over)
    assert read(lab) == found
    assert lab.client.indices.exists(index=f"{lab.connection.alias}-000002")


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_figures_that_would_lack_a_shard_are_not_told(
    lab: Lab, read: Callable[[Lab], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shard is named, so that the cluster can be mended."""
    monkeypatch.setattr(complete, "PATIENCE", 0.2)
    before_the_first_read(lab, monkeypatch, lambda: roll_over_to_no_shard(lab))
    with pytest.raises(Unavailable, match="shard"), translate_errors(lab.connection):
        read(lab)
