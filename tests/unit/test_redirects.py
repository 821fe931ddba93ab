"""A redirect is an answer: it is never followed, with or without credentials."""

from collections.abc import Callable

import pytest

from indexer.elastic.client import connect, translate_errors
from indexer.errors import Fatal
from indexer.events import Fault
from indexer.kibana.api import Api, NotKibana
from indexer.settings import Connection, Kibana, Zoomdata
from indexer.writing.batches import Body
from indexer.writing.request import BulkFailed, post
from indexer.zoomdata import api as zoomdata_api
from indexer.zoomdata.failures import WrongContext
from tests.support.hostile_server import HEADER, hostile, whole

STATUSES = [300, 301, 302, 303, 305, 307, 308]
ELSEWHERE = {
    "another host": "{url}/{path}",
    "with our own user": "http://elastic:s3cret@{host}/",
    "without a scheme": "//{host}/",
    "nothing": "",
    "no address": "http://[",
}


def with_user(url: str) -> str:
    return url.replace("http://", "http://elastic:s3cret@")


def ask_elasticsearch(url: str) -> None:
    connection = Connection([with_user(url)])
    with connect(connection) as client:
        with pytest.raises(Fatal), translate_errors(connection):
            client.info()
        with pytest.raises(Fatal), translate_errors(connection):
            client.indices.exists(index="i")
        with pytest.raises(BulkFailed) as failed:
            post(client, Body.of([(b"0" * 28, b"{}")]), "i")
    assert failed.value.row.fault is Fault.NOT_AN_ANSWER


def ask_kibana(url: str) -> None:
    with (
        Api(Connection(), Kibana(kibana_url=with_user(url))) as api,
        pytest.raises(NotKibana, match=r"redirects|no JSON|not as"),
    ):
        api.version()


def ask_zoomdata(url: str) -> None:
    settings = Zoomdata(zoomdata_url=f"{with_user(url)}/composer")
    with zoomdata_api.Api(settings) as api:
        with pytest.raises(WrongContext):
            api.discover()
        with pytest.raises(Fatal):
            api.get("/sources", "list sources")


@pytest.mark.parametrize("ask", [ask_elasticsearch, ask_kibana, ask_zoomdata])
@pytest.mark.parametrize("location", ELSEWHERE.values(), ids=ELSEWHERE)
def test_no_redirect_is_followed(ask: Callable[[str], None], location: str) -> None:
    """Nobody else is asked anything, whatever the status and the place; what Elasticsearch's header claims as well."""
    followed: list[bytes] = []

    def elsewhere(request: bytes) -> list[bytes]:
        followed.append(request)
        return [whole(b"{}")]

    with hostile(elsewhere) as other:
        to = location.format(url=other, path="_bulk", host=other.removeprefix("http://")).encode()
        for status in STATUSES:
            for header in (HEADER, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"):
                answer = (
                    header.replace(b"200", b"%d" % status) + b"Location: %b\r\nContent-Length: 0\r\n\r\n" % to
                )
                with hostile(lambda _, answer=answer: [answer]) as url:  # type: ignore[misc]
                    ask(url)
    assert followed == []
