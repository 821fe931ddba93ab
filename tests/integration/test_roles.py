"""`indexer template roles`: printed for whoever has to look at them, or installed.

The servers of these tests lack what the index of native roles is made with, so installing is held against a small
stand-in for the API of roles; that a real server takes the bodies is seen from how far it gets with them. OpenSearch's
security plugin is the real one, in `test_opensearch_security.py`.
"""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import orjson
import pytest

from indexer.elastic.client import connect
from indexer.elastic.cluster import Cluster
from indexer.elastic.security import INTERFACES
from indexer.elastic.server import Product
from indexer.settings import Connection
from indexer.setup.roles import NoSecurity, install, roles
from indexer.setup.templates import Foreign, Result
from tests.support.http_server import address, answer, serving
from tests.support.lab import Lab

ALIAS = "activity"


class Api:
    """`GET` and `PUT /_security/role/…` as the real one answers them: each body comes back with what it did not say."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, object]] = {}
        self.puts: list[str] = []

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        names = handler.path.partition("?")[0].rpartition("/")[2].replace("%2C", ",").split(",")
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        status, told = 200, {name: self.held[name] for name in names if name in self.held}
        if handler.command == "PUT":
            self.puts += names
            told = {"role": {"created": names[0] not in self.held}}
            self.held[names[0]] = self._filled_in(orjson.loads(body))
        elif not told:
            status = 404
        headers = {"X_Elastic_Product": "Elasticsearch", "content_type": "application/json"}
        answer(handler, status, orjson.dumps(told), **headers)

    def _filled_in(self, role: dict[str, list[dict[str, object]]]) -> dict[str, object]:
        groups = [group | {"allow_restricted_indices": False} for group in role["indices"]]
        return role | {"indices": groups, "applications": [], "run_as": [], "transient_metadata": {}}


@pytest.fixture
def api() -> Api:
    """A server without roles."""
    return Api()


@pytest.fixture
def connection_to(api: Api) -> Iterator[Connection]:
    """A connection to it."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        api.respond(handler)

    with serving(respond) as server:
        yield Connection(elasticsearch_url=[address(server)], alias=ALIAS)


def results(connection: Connection, *, force: bool = False) -> list[Result]:
    """What an installation says, role by role."""
    with connect(connection) as client:
        return [it.result for it in install(Cluster(client, connection), force=force)]


def test_roles_are_created_then_left_alone_then_brought_up_to_date(
    api: Api, connection_to: Connection
) -> None:
    """Only what differs is sent again."""
    assert results(connection_to) == [Result.CREATED] * 5
    assert list(roles(ALIAS)) == api.puts
    assert results(connection_to) == [Result.UNCHANGED] * 5
    api.held[f"{ALIAS}-writer"]["cluster"] = ["all"]
    assert results(connection_to).count(Result.UPDATED) == 1
    assert api.puts[5:] == [f"{ALIAS}-writer"]
    assert api.held[f"{ALIAS}-writer"]["cluster"] == ["monitor", "read_ilm"]


def test_a_role_of_somebody_else_is_not_replaced_unless_that_is_wanted(
    api: Api, connection_to: Connection
) -> None:
    """Nothing at all is sent then."""
    api.held[f"{ALIAS}-reader"] = {"cluster": ["all"], "indices": []}
    with pytest.raises(Foreign, match=f"role {ALIAS}-reader"):
        results(connection_to)
    assert api.puts == []
    assert results(connection_to, force=True).count(Result.UPDATED) == 1


def test_without_security_there_are_no_roles(bare: Lab) -> None:
    """A sentence says so, whatever the server's version answers, and how its product switches it on."""
    product = bare.cluster.product
    enable = re.escape(INTERFACES[product].enable)
    with pytest.raises(NoSecurity, match=rf"Security is off on {product} at .* Enable it \({enable}\)"):
        install(bare.cluster)


def test_roles_are_printed_without_a_server(bare: Lab) -> None:
    """As one object that jq and curl can go on with."""
    done = bare.command("template", "roles", "--elasticsearch-url", "http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout) == roles(bare.connection.alias)
    done = bare.command(
        "template", "roles", "--server", "opensearch", "--elasticsearch-url", "http://127.0.0.1:9"
    )
    assert orjson.loads(done.stdout) == roles(bare.connection.alias, Product.OPENSEARCH)
