"""`indexer zoomdata logging`: only types that differ are switched, and the result is read back."""

from collections.abc import Iterator

import orjson
import pytest
from typer.testing import CliRunner, Result

from indexer import cli
from indexer.errors import WrongUsage
from indexer.zoomdata.activities import changes, properties
from indexer.zoomdata.failures import NotSwitched, ZoomdataForbids
from tests.support.zoomdata_stand_in import StandIn

NOW = {"ACCOUNT": True, "USER": True, "VIS_DATA": False, "RAW_DATA_EXPORT": False}


@pytest.fixture
def there() -> StandIn:
    """A Zoomdata with a supervisor and an administrator of an account."""
    made = StandIn()
    made.admit("supervisor", "s3cret", "supervisor")
    made.admit("admin", "s3cret")
    return made


@pytest.fixture
def url(there: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where it is."""
    monkeypatch.setenv("INDEXER_ZOOMDATA_PASSWORD", "s3cret")
    with there.serving() as address:
        monkeypatch.setenv("INDEXER_ZOOMDATA_URL", address)
        monkeypatch.setenv("INDEXER_ZOOMDATA_USERNAME", "supervisor")
        yield address


def logging(*arguments: str) -> Result:
    """Run the command, and raise its exceptions."""
    return CliRunner().invoke(cli.app, ["zoomdata", "logging", *arguments], catch_exceptions=False)


def types(*arguments: str) -> dict[str, tuple[bool, bool]]:
    """Which types are logged afterwards, and whether each was changed."""
    done = logging("--json", *arguments)
    return {it["type"]: (it["logged"], it["changed"]) for it in orjson.loads(done.stdout)["types"]}


def test_what_is_logged_is_shown(there: StandIn, url: str) -> None:
    """Nothing is changed."""
    assert types() == {it: (value, False) for it, value in NOW.items()}
    assert "VIS_DATA" in logging().stdout
    assert there.changed() == []


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["--on", "all"], {"VIS_DATA": True, "RAW_DATA_EXPORT": True}),
        (["--on", "vis_data,ACCOUNT"], {"VIS_DATA": True}),
        (["--on", "VIS_DATA", "--on", " RAW_DATA_EXPORT"], {"VIS_DATA": True, "RAW_DATA_EXPORT": True}),
        (["--off", "USER", "--on", "VIS_DATA"], {"USER": False, "VIS_DATA": True}),
        (["--off", "ALL"], {"ACCOUNT": False, "USER": False}),
        (["--on", "all", "--off", "VIS_DATA"], {"RAW_DATA_EXPORT": True}),
        (["--off", "all", "--on", "ACCOUNT"], {"USER": False}),
        (["--on", "ACCOUNT", "--off", "VIS_DATA"], {}),
        (["--on", "NEW,VIS_DATA", "--off", "OLD"], {"VIS_DATA": True}),
    ],
)
def test_only_what_differs_is_switched(
    there: StandIn, url: str, arguments: list[str], changed: dict[str, bool]
) -> None:
    """One request for each; the result is what Zoomdata returns afterwards."""
    assert types(*arguments) == {it: (value, it in changed) for it, value in (NOW | changed).items()}
    assert sorted(there.changed()) == sorted(f"PUT /system/activity/type/{it}" for it in changed)
    assert there.activities == NOW | changed


@pytest.mark.parametrize(
    ("on", "off", "said"),
    [
        (["USER"], ["USER"], "given for USER"),
        (["all"], ["all"], "given for all"),
    ],
)
def test_contradictions_are_wrong_usage(on: list[str], off: list[str], said: str) -> None:
    """Before anything is switched."""
    with pytest.raises(WrongUsage, match=said):
        changes(NOW, on, off)


def test_a_type_that_zoomdata_does_not_know_is_skipped_with_a_note(there: StandIn, url: str) -> None:
    """Whether it is not listed, or refused as unknown; all others are switched."""
    there.ghosts = {"GHOST"}
    done = logging("--json", "--on", "all,REQUEST", "--off", "TOPOLOGY")
    notes = orjson.loads(done.stdout)["notes"]
    assert notes[:-1] == [
        f"Zoomdata does not know the activity type {it}: it is skipped"
        for it in ("GHOST", "REQUEST", "TOPOLOGY")
    ]
    assert there.activities == NOW | {"VIS_DATA": True, "RAW_DATA_EXPORT": True}
    assert "does not know the activity type REQUEST" in logging("--on", "REQUEST").stdout


def test_how_many_files_zoomdata_should_keep_is_told(there: StandIn, url: str) -> None:
    """Both properties for the number of files, since the vendor's pages disagree, and the size in MB."""
    (note,) = orjson.loads(logging("--json").stdout)["notes"]
    for line in ("activity.log.file.count=10", " log.file.count=10", "activity.log.file.size=100"):
        assert line in note


def test_an_administrator_of_an_account_is_no_supervisor(
    there: StandIn, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the required user."""
    monkeypatch.setenv("INDEXER_ZOOMDATA_USERNAME", "admin")
    with pytest.raises(
        ZoomdataForbids, match=r"'admin' to read or change the logged activity types: .*user supervisor"
    ):
        logging("--on", "all")


def test_an_unchanged_type_is_an_error_with_the_line_for_the_properties(there: StandIn, url: str) -> None:
    """Zoomdata accepts the request, but changes nothing."""
    there.stubborn = {"VIS_DATA"}
    with pytest.raises(
        NotSwitched, match=r"VIS_DATA is as before\. .*: activity\.VIS_DATA=true; then restart"
    ):
        logging("--on", "all")
    assert there.activities == NOW | {"RAW_DATA_EXPORT": True}


def test_without_the_api_the_error_has_the_lines_for_the_properties(there: StandIn, url: str) -> None:
    """An old or a future version."""
    there.activities = None
    with pytest.raises(NotSwitched, match=r"activity\.USER=true, activity\.VIS=false; then restart"):
        logging("--on", "USER", "--off", "VIS")
    for arguments in ([], ["--on", "all"]):
        with pytest.raises(NotSwitched, match=r"properties: activity\.TYPE=true; then"):
            logging(*arguments)
    assert properties({"A": True, "B": False}) == "activity.A=true, activity.B=false"


def test_an_answer_of_unknown_form_is_an_error(there: StandIn, url: str) -> None:
    """It is an error."""
    there.activities = {"content": []}  # type: ignore[dict-item]
    with pytest.raises(NotSwitched, match="has an unknown form"):
        logging("--on", "all")
    assert there.changed() == []


def test_a_dry_run_prints_the_requests(there: StandIn, url: str) -> None:
    """With their bodies; nothing is sent."""
    done = logging("--on", "all", "--dry-run")
    assert f"PUT {url}/composer/api/system/activity/type/VIS_DATA\ntrue" in done.stdout
    assert there.changed() == []
    assert orjson.loads(logging("--on", "all", "--dry-run", "--json").stdout)["requests"][0]["body"] is True
