"""A managed OpenSearch, as AWS's: what OpenSearch has no handler for is answered with 401, as a wrong password is.

A fake, for there is none on a package registry: the proxy gives that answer wherever the real server says that it has no handler.
The status is that of phillbaker/terraform-provider-elasticsearch #118 (lifecycle policies), the words those that users report.
"""

import json
from collections.abc import Iterator

import pytest

from indexer.demo.installation import RELEASES
from indexer.elastic.server import Product
from tests.support.lab import Lab, numbered
from tests.support.real_faults.laboratory import FaultyLab, behind_proxy
from tests.support.real_faults.proxy import Answer, CarryOut, Request


def denied(request: Request, carry_out: CarryOut) -> Answer:
    """Carried out, if the server knows what it is. Of plugins, which the server here lacks, AWS has most."""
    answer = carry_out(request)
    if b"no handler found for uri" not in answer.body or request.path.startswith("/_plugins/"):
        return answer
    path = request.path.partition("?")[0]
    body = json.dumps({"Message": f"Your request: '{path}' is not allowed."}).encode()
    return Answer(401, {"content-type": "application/json"}, body)


@pytest.fixture
def managed(bare: Lab, elasticsearch_version: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyLab]:
    """A laboratory whose commands reach the server as AWS lets them. It is not set up."""
    if RELEASES[elasticsearch_version].distribution.product is not Product.OPENSEARCH:
        pytest.skip(
            "Elasticsearch is not sold like that; the OpenSearch versions are tested in the same .ci/run"
        )
    with behind_proxy(bare, monkeypatch) as faulty:
        faulty.proxy.rule = lambda _: denied
        yield faulty


def test_every_command_asks_for_what_opensearch_has(managed: FaultyLab) -> None:
    """Set-up, delivery, seals, all ways of reading, rollover and removal."""
    key = managed.state.state_dir.with_name("seal.key")
    assert managed.command("seal", "key", key).returncode == 0
    expected = {
        ("template", "install"): 0,
        ("template", "show"): 0,
        ("run", "--once", "--seal-key-file", key, managed.logs): 3,
        ("verify", managed.logs): 0,
        ("verify", "--seals", "--public-key", f"{key}.pub"): 0,
        ("rejected", "list"): 0,
        ("rejected", "replay"): 3,
        ("status",): 0,
        ("summary",): 0,
        ("report", "--out", managed.logs.with_name("report.html")): 0,
        ("check", managed.logs): 0,
        ("template", "rollover"): 0,
        ("template", "remove"): 0,
    }
    managed.append([*numbered(20), b"no entry"])
    for arguments, code in expected.items():
        done = managed.command(*arguments)
        assert (done.returncode, "not allowed" in done.stderr + done.stdout) == (code, False), (
            arguments,
            done.stdout.splitlines(),
            done.stderr.splitlines(),
        )
    assert managed.verify(scan=True).agrees
    assert managed.numbers() == list(range(20))
