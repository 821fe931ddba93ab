"""What is wrong, in words: the missing privilege of a refusal, the reason of an answer, the beginning of a chain of errors."""

import ssl

import elastic_transport
import elasticsearch
import pytest
import urllib3
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from indexer.elastic.failures import describe, reason_of, root_cause, summarise

BULK = "create_doc,create,delete,index,write,all"
NAMED = "one of the index privileges create_doc, create, delete, index, write, all is missing"
BY = f"this action is granted by the index privileges [{BULK}]"
MONITOR = "this action is granted by the cluster privileges [monitor,manage,all]"
PLUGIN_USER = "User [name=me, backend_roles=[], requestedTenant=null]"
REFUSALS = {
    "7.17.28": (
        f"action [indices:data/write/bulk] is unauthorized for user [nobody] with roles [], {BY}",
        f"{NAMED} on the-alias, for indices:data/write/bulk",
    ),
    "8.19.16 and 9.1.5": (
        f"action [indices:data/write/bulk] is unauthorized for user [nobody] with effective roles [a,b], {BY}",
        f"{NAMED} on the-alias, for indices:data/write/bulk",
    ),
    "an item": (
        f"action [indices:data/write/bulk[s]] is unauthorized for user [a, on indices [x]] with effective roles [r] on indices [logs-000001,logs], {BY}",
        f"{NAMED} on logs-000001, logs, for indices:data/write/bulk[s]",
    ),
    "a role that does not exist": (
        f"action [indices:data/write/bulk] is unauthorized for user [a] with effective roles [] (assigned roles [q] were not found), {BY}",
        f"{NAMED} on the-alias, for indices:data/write/bulk",
    ),
    "an API key": (
        f"action [indices:data/write/bulk] is unauthorized for API key id [Mx] of user [me] on indices [logs], {BY}",
        f"{NAMED} on logs, for indices:data/write/bulk",
    ),
    "one privilege": (
        "action [a] is unauthorized for user [x], this action is granted by the index privileges [read]",
        "the index privilege read is missing on the-alias, for a",
    ),
    "the cluster": (
        f"action [cluster:monitor/state] is unauthorized for user [x] with effective roles [r], {MONITOR}",
        "one of the cluster privileges monitor, manage, all is missing, for cluster:monitor/state",
    ),
    "OpenSearch, an index": (
        f"no permissions for [indices:data/write/index, indices:data/write/bulk[s]] and {PLUGIN_USER}",
        "the index permissions indices:data/write/index, indices:data/write/bulk[s] are missing on the-alias",
    ),
    "OpenSearch, a name that tries to mislead": (
        "no permissions for [indices:admin/get] and User [name=] and User [a], backend_roles=[], requestedTenant=null]",
        "the index permission indices:admin/get is missing on the-alias",
    ),
    "OpenSearch, the cluster": (
        f"no permissions for [cluster:monitor/main] and {PLUGIN_USER}",
        "the cluster permission cluster:monitor/main is missing",
    ),
    "OpenSearch, the cluster, though it does not look so": (
        f"no permissions for [indices:data/write/bulk] and {PLUGIN_USER}",
        "the cluster permission indices:data/write/bulk is missing",
    ),
    "another sentence": ("index [x] blocked by: [FORBIDDEN/8/index write (api)];",) * 2,
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_names_the_missing_privilege(case: str) -> None:
    """As each version words it (measured); what says something else stays as it is."""
    said, expected = REFUSALS[case]
    assert describe(said, "the-alias") == expected


def test_a_long_reason_is_cut() -> None:
    """It may quote an entry."""
    assert describe("x" * 10_000) == "x" * 300


def answered(body: object) -> elasticsearch.ApiError:
    meta = ApiResponseMeta(403, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "h", 1))
    return elasticsearch.ApiError("message", meta, body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"type": "t", "reason": "r"}}, "r"),
        ({"error": {"type": "t"}}, "t"),
        (b'{"error":{"type":"t","reason":"r"}}', "r"),
        ({"error": "no handler"}, "no handler"),
        (
            {"status": "FORBIDDEN", "message": "No permission to access REST API"},
            "No permission to access REST API",
        ),
        ({"status": "error", "reason": "Invalid configuration"}, "Invalid configuration"),
        (
            {"Message": "Your request: '/_ilm/status' is not allowed."},
            "Your request: '/_ilm/status' is not allowed.",
        ),
        ({"_shards": {"failed": 1, "failures": [{"shard": 0, "reason": {"type": "t", "reason": "r"}}]}}, "r"),
        ({"_shards": {"failures": []}}, "status 403"),
        ({"_shards": ["failures"]}, "status 403"),
        (b"<html>", "status 403"),
        ("<html>", "status 403"),
        (None, "status 403"),
    ],
)
def test_the_reason_of_an_answer(body: object, reason: str) -> None:
    """The server's own, in each form that it has (measured), or else the status: also as bytes, and where a proxy answers."""
    assert reason_of(answered(body)) == reason


def test_an_error_is_said_as_what_it_was_in_the_beginning() -> None:
    """Libraries wrap each other's errors; the innermost says what happened."""
    cause = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    middle = urllib3.exceptions.SSLError(cause)
    outer = elastic_transport.TlsError("x")
    outer.__cause__ = middle
    assert root_cause(outer) is cause
    aborted = elastic_transport.ConnectionError("x")
    aborted.__cause__ = urllib3.exceptions.ProtocolError(
        "Connection aborted.", ConnectionResetError(104, "reset by peer")
    )
    assert summarise(aborted) == "[Errno 104] reset by peer"
    aborted.__cause__ = urllib3.exceptions.HTTPError("<object at 0x7>: no route")
    assert summarise(aborted) == "no route"
