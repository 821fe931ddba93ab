"""Who we are: one way to say it, sent as Elasticsearch reads it, read anew when it is refused, never shown."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import elasticsearch
import pytest

from indexer.elastic.client import connect, translate
from indexer.elastic.credentials import Credentials
from indexer.errors import Fatal, Unauthenticated, WrongUsage
from indexer.settings import Connection, SecretUnusable
from tests.support.guarded import Guarded


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any of the variables."""
    for name in ("PASSWORD", "API_KEY", "BEARER_TOKEN"):
        monkeypatch.delenv(f"INDEXER_{name}", raising=False)


@pytest.fixture
def server() -> Iterator[Guarded]:
    """A server that remembers what it was sent."""
    with Guarded() as server:
        yield server


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(connection: Connection) -> None:
    with connect(connection) as client:
        client.info()


# ---- what is sent

WAYS: dict[str, tuple[dict[str, Any], dict[str, str], str | None]] = {
    "nobody": ({}, {}, None),
    "user": ({"username": "wörter"}, {"PASSWORD": "s3cret:ü"}, basic("wörter", "s3cret:ü")),
    "API key": ({}, {"API_KEY": "aWQ6a2V5=="}, "ApiKey aWQ6a2V5=="),
    "API key as id and key": ({}, {"API_KEY": "id:key"}, "ApiKey aWQ6a2V5"),
    "bearer token": ({}, {"BEARER_TOKEN": "eyJ.x-y_z~/+="}, "Bearer eyJ.x-y_z~/+="),
}


@pytest.mark.parametrize("way", WAYS)
def test_elasticsearch_is_told_who_we_are(way: str, server: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way is the header Authorization that Elasticsearch documents (the zips can make no API key: HTTP has to do)."""
    options, variables, header = WAYS[way]
    for name, value in variables.items():
        monkeypatch.setenv(f"INDEXER_{name}", value)
    ask(Connection([server.url()], **options))
    assert server.authorizations() == [header]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "nobody"])
def test_a_secret_may_come_from_a_file(way: str, server: Guarded, tmp_path: Path) -> None:
    """The same header, from a file with a line end."""
    options, variables, header = WAYS[way]
    ((name, value),) = variables.items()
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    options = options | {f"{name.lower()}_file": file}
    ask(Connection([server.url()], **options))
    assert server.authorizations() == [header]


def test_a_user_in_the_address_goes_to_all_addresses(server: Guarded) -> None:
    """Written once, percent-encoded, it is meant for the cluster."""
    with Guarded() as other:
        url = server.url().replace("//", "//us%20er:p%40ss@")
        with connect(Connection([url, other.url()])) as client:
            while not (server.seen and other.seen):
                client.info()
        assert set(server.authorizations() + other.authorizations()) == {basic("us er", "p@ss")}


def test_a_path_of_the_address_stands_before_each_request(server: Guarded) -> None:
    """A proxy may have Elasticsearch under a path."""
    ask(Connection([f"{server.url()}/es/"]))
    assert [path for path, _ in server.seen] == ["/es/"]


# ---- what contradicts itself


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        ({"username": "u"}, {"PASSWORD": "s3cret", "API_KEY": "s3cret"}, "--username (user) and INDEXER_API_KEY (API key)"),
        ({"api_key_file": Path("key")}, {"BEARER_TOKEN": "s3cret"}, "--api-key-file (API key) and INDEXER_BEARER_TOKEN"),
        ({"bearer_token_file": Path("x")}, {"PASSWORD": "s3cret"}, "INDEXER_PASSWORD (user) and --bearer-token-file"),
        ({"elasticsearch_url": ["http://u:s3cret@h:1"]}, {"API_KEY": "s3cret"}, "and --elasticsearch-url (user in an"),
        ({"elasticsearch_url": ["http://u:s3cret@h:1", "http://v:s3cret@h:1"]}, {}, "The addresses contain different users"),
        ({}, {"PASSWORD": "s3cret"}, "INDEXER_PASSWORD is a password without a user. Give --username"),
        ({"username": "u"}, {}, "--username is given without a password. Give INDEXER_PASSWORD or --password-file"),
    ],
)  # fmt: skip
def test_two_ways_or_half_a_way_are_wrong_usage(
    options: dict[str, Any], variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names both by what gives them, shows no secret, and the exit code is that of wrong usage."""
    for name, value in variables.items():
        monkeypatch.setenv(f"INDEXER_{name}", value)
    with pytest.raises(WrongUsage) as caught:
        connect(Connection(**options))
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["s3cret\nx", "s3cret key", "s3crét", "s3cret\x00", " "])
def test_a_key_that_no_header_can_hold_is_not_shown(value: str, tmp_path: Path) -> None:
    """The HTTP library would quote it in its error; here it is found before, and what is said holds nothing of it."""
    file = tmp_path / "key"
    file.write_text(value)
    with pytest.raises(SecretUnusable) as caught:
        connect(Connection(api_key_file=file))
    assert "s3cr" not in str(caught.value)
    assert "INDEXER_API_KEY" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret@host:99999999",
        "http://user:s3/cret@host:1",
        "user:s3cret@host:9200",
        "http://u:s3cret@host",
    ],
)
def test_an_address_that_is_none_shows_no_password(url: str) -> None:
    """The library would quote it."""
    with pytest.raises(WrongUsage, match="is not a valid address of Elasticsearch") as caught:
        connect(Connection([url]))
    assert "s3" not in str(caught.value)
    assert caught.value.__cause__ is None


# ---- rotation


def rotations(file: Path, value: str) -> None:
    """As Kubernetes changes a mounted secret: a new directory, and a symlink that is turned."""
    fresh = file.parent / f"..{value}"
    fresh.mkdir()
    (fresh / "secret").write_text(value)
    turning = file.parent / "..tmp"
    turning.symlink_to(fresh.name)
    turning.rename(file.parent / "..data")
    if not file.is_symlink():
        file.symlink_to("..data/secret")


def written_over(file: Path, value: str) -> None:
    file.write_text(value)


def renamed(file: Path, value: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(value)
    fresh.rename(file)


@pytest.mark.parametrize("put", [written_over, renamed, rotations])
@pytest.mark.parametrize("kind", ["api_key_file", "bearer_token_file", "password_file"])
def test_a_rotated_secret_needs_no_restart(put: Any, kind: str, server: Guarded, tmp_path: Path) -> None:
    """What is refused is sent once more with what the file holds by then: nobody notices."""
    words = {"api_key_file": "ApiKey {}", "bearer_token_file": "Bearer {}"}
    headers = [words.get(kind, basic("u", "{}")).format(value) for value in ("0ld", "n3w")]
    if kind == "password_file":
        headers = [basic("u", "0ld"), basic("u", "n3w")]
    file = tmp_path / "secret"
    put(file, "0ld")
    options: dict[str, Any] = {kind: file} | ({"username": "u"} if kind == "password_file" else {})
    connection = Connection([server.url()], **options)
    with connect(connection) as client:
        client.info()
        put(file, "n3w")
        client.info()  # what is admitted is not read again
        server.admits = headers[1]
        client.info()
        client.info()
    assert server.authorizations() == [headers[0], headers[0], headers[0], headers[1], headers[1]]


def test_what_is_refused_for_good_is_sent_once(server: Guarded, tmp_path: Path) -> None:
    """A file that holds what was refused, or that is empty while it is replaced, is no reason to try again."""
    file = tmp_path / "key"
    file.write_text("k3y")
    connection = Connection([server.url()], api_key_file=file)
    server.admits = "ApiKey other"
    with connect(connection) as client:
        for content in ("k3y", ""):
            file.write_text(content)
            with pytest.raises(elasticsearch.AuthenticationException) as caught:
                client.info()
            said = translate(caught.value, connection)
            assert isinstance(said, Unauthenticated)
            assert (
                "does not accept the API key: unable to authenticate. Check the API key given by --api-key-file"
                in str(said)
            )
    assert server.authorizations() == ["ApiKey k3y"] * 2


def test_threads_that_are_refused_together_read_once(tmp_path: Path) -> None:
    """Whoever is refused after another has read the file goes on with what that one found."""
    file = tmp_path / "key"
    file.write_text("one")
    credentials = Credentials(Connection(api_key_file=file))
    first = credentials.header
    file.write_text("two")
    assert credentials.renewed(first)
    file.unlink()
    assert credentials.renewed(first)
    assert credentials.header == "ApiKey two"
    assert not credentials.renewed(credentials.header)


@pytest.mark.parametrize(
    ("connection", "who"),
    [
        (Connection(), "a request without credentials"),
        (Connection(["http://u:s3cret@h:1"]), "the user in the address"),
        (Connection(username="me"), "user 'me'"),
        (Connection(client_cert=Path("c")), "the client certificate"),
        (Connection(api_key_file=Path("nowhere")), "the API key"),
        (Connection(bearer_token_file=Path("nowhere")), "the bearer token"),
    ],
)
def test_a_refusal_says_who_and_what_to_do(connection: Connection, who: str, server: Guarded) -> None:
    """Without reading the secret again: its file may be gone."""
    server.admits = "nobody"
    with pytest.raises(elasticsearch.AuthenticationException) as caught:
        ask(Connection([server.url()]))
    said: Fatal = translate(caught.value, connection)
    assert f"does not accept {who}: unable to authenticate. " in str(said)
    assert str(said).endswith(".")
    assert "s3cret" not in str(said)
