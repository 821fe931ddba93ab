"""OpenSearch with `index.append_only.enabled` in `@custom`: who may write can neither change nor delete what is there."""

from collections.abc import Callable

import pytest
from elasticsearch import BadRequestError

from tests.support.lab import Lab, numbered

SETTING = "index.append_only.enabled"


@pytest.fixture
def appending(bare: Lab) -> Lab:
    """Set up with the setting, and sealing."""
    custom = {"settings": {SETTING: True}}
    try:
        bare.client.cluster.put_component_template(name=f"{bare.connection.alias}@custom", template=custom)
    except BadRequestError as error:
        if f"unknown setting [{SETTING}]" not in str(error):
            raise
        pytest.skip("The setting came with OpenSearch 2.19")
    bare.install()
    return bare.sealing()


def test_nobody_changes_or_deletes_a_single_entry(appending: Lab) -> None:
    """Overwriting, updating and deleting are refused, to a user who may do everything; the entries are as they were."""
    lab = appending
    lab.append(numbered(3))
    assert lab.run().totals.created == 3
    before = lab.stored()
    index, one = lab.connection.alias, next(iter(before))
    changes: list[Callable[[], object]] = [
        lambda: lab.client.index(index=index, id=one, document={"n": 9}),
        lambda: lab.client.update(index=index, id=one, doc={"n": 9}),
        lambda: lab.client.delete(index=index, id=one),
    ]
    for change in changes:
        with pytest.raises(BadRequestError, match=f"`{SETTING}` is enabled"):
            change()
    lab.client.indices.refresh(index=index)
    assert lab.stored() == before


def test_entries_are_delivered_once_as_ever(appending: Lab) -> None:
    """Sent again with the state lost, over a rollover, with an entry refused and one replayed; by files and by seals."""
    lab = appending
    lines = [*numbered(200), b"no entry"]
    lab.append(lines)
    assert (lab.run().totals.created, len(lab.rejected_bytes())) == (200, 1)
    lab.client.indices.rollover(alias=lab.connection.alias)
    assert lab.verify(repair=True).agrees
    for file in lab.state.state_dir.iterdir():
        if file.is_file():
            file.unlink()
    lab.append(numbered(50, start=200))
    totals = lab.run().totals
    assert (totals.created, totals.duplicates) == (50, 200)
    assert lab.verify().agrees
    assert lab.verify_seals().agrees
    assert "broken" not in lab.command("check", lab.logs).stdout
