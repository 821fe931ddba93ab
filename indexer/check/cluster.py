"""The steps that ask the cluster. Each yields what it finds, and notes what later steps go on from.

A step may raise Fatal: whoever calls it turns that into a finding.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import elastic_transport
import elasticsearch

from indexer.check import judgements
from indexer.check.findings import Finding, Topic, fail, failed, not_tried, ok, warn
from indexer.elastic import fields as counting
from indexer.elastic.alias import NoWriteIndex, backing
from indexer.elastic.client import connect, display_url, translate
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer
from indexer.errors import AliasIsIndex, Fatal, Refused
from indexer.settings import Connection, Indices, Lifecycle
from indexer.setup import invariants
from indexer.setup.plan import left_out, managed
from indexer.setup.roles import roles
from indexer.setup.templates import examine_templates
from indexer.writing import answers

ANSWERED_WITHIN = 10.0
"""Seconds for an answer, at most: somebody is waiting."""
PROBE = b'{"create":{"_id":"indexer-check"}}\n{\n'
"""An entry that no server can take, since it is no JSON: it is refused once rights, alias, blocks and the primary
shard have let it through, and leaves nothing behind (measured on 7.17.28, 8.19.16 and 9.1.5)."""
PRIMARY_WITHIN = "5s"
"""How long that entry waits for a primary shard."""
REPLICAS = "index.number_of_replicas"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
WITHOUT_SECURITY = [400, 404, 405]
"""What a server answers to questions about security if that is off (measured on 7.17.28, 8.19.16 and 9.1.5)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one address answers to "who am I?"."""

    connection: Connection
    """To this address alone."""
    who: dict[str, Any] = field(default_factory=dict)
    """Empty if security is off, or there is a fault."""
    fault: Fatal | None = None
    tls: bool = False
    """The fault is one of TLS."""

    @property
    def reached(self) -> bool:
        """Somebody is there; what they want of us is another matter."""
        return self.fault is None or self.tls or isinstance(self.fault, Refused)


@dataclass
class CheckContext:
    """What is looked at, and what was learned so far."""

    connection: Connection
    indices: Indices
    open: ExitStack
    """Closes what is opened on the way."""
    probes: list[Probe] = field(default_factory=list)
    write: str = ""
    """The write index."""

    @cached_property
    def cluster(self) -> Cluster:
        """Of the addresses that answer."""
        urls = [url for it in self.probes if it.fault is None for url in it.connection.elasticsearch_url]
        client = self.open.enter_context(connect(replace(self.connection, elasticsearch_url=urls)))
        return Cluster(client, self.connection)

    @property
    def managed(self) -> bool:
        """The server's lifecycle management is to manage the indices."""
        return managed(self.cluster.server, self.indices)

    @property
    def secured(self) -> bool:
        """The server knows who we are."""
        return any(it.who for it in self.probes)


def configuration(context: CheckContext) -> Iterator[Finding]:
    """The settings make sense. Raises Fatal."""
    with connect(context.connection):
        pass
    it = context.connection
    yield ok(Topic.CONFIGURATION, f"alias {it.alias} on {display_url(it)}")


def connection(context: CheckContext) -> Iterator[Finding]:
    """Elasticsearch answers at each address; one of them is enough."""
    it = context.connection
    context.probes = [_probe(replace(it, elasticsearch_url=[url])) for url in it.elasticsearch_url]
    some = any(probe.reached for probe in context.probes)
    for probe in context.probes:
        if probe.reached or probe.fault is None:
            yield ok(Topic.CONNECTION, f"{display_url(probe.connection)} answers")
        elif some:
            told = failed(Topic.CONNECTION, probe.fault)
            yield warn(Topic.CONNECTION, told.what, told.cure)
        else:
            yield failed(Topic.CONNECTION, probe.fault)


def tls(context: CheckContext) -> Iterator[Finding]:
    """What is sent is encrypted, and the server is who it says it is."""
    for probe in context.probes:
        url = display_url(probe.connection)
        if probe.fault is not None and probe.tls:
            yield failed(Topic.TLS, probe.fault)
        elif url.startswith("https:"):
            yield ok(Topic.TLS, f"the certificate of {url} is in order")
        elif probe.who and urlsplit(url).hostname not in LOOPBACK:
            what = f"passwords, keys and entries go to {url} as anybody can read them"
            yield warn(Topic.TLS, what, "Use https, with --ca-certs.")
        else:
            yield ok(Topic.TLS, f"{url} does without")


def authentication(context: CheckContext) -> Iterator[Finding]:
    """The server knows who we are, if it asks."""
    for fault in (probe.fault for probe in context.probes if isinstance(probe.fault, Refused)):
        yield failed(Topic.AUTHENTICATION, fault)
    for who in (probe.who for probe in context.probes if probe.fault is None):
        if not who:
            what = "security is off: whoever reaches the server may read, change and delete entries"
            yield warn(Topic.AUTHENTICATION, what, "Switch it on (xpack.security.enabled).")
        else:
            named = ", ".join(who.get("roles", ())) or "none"
            realm = who.get("authentication_realm", {}).get("name", "unknown")
            yield ok(
                Topic.AUTHENTICATION, f"user {who['username']!r} of realm {realm}, with the roles: {named}"
            )
        return


def privileges(context: CheckContext) -> Iterator[Finding]:
    """We may do what `indexer run` does."""
    if not context.secured:
        yield not_tried(Topic.PRIVILEGES, "security is off: everybody may do everything")
        return
    alias = context.connection.alias
    wanted = roles(alias)
    answer = context.cluster.client.security.has_privileges(**judgements.asked(wanted))
    yield judgements.privileges(wanted, alias, answer.body)


def version(context: CheckContext) -> Iterator[Finding]:
    """The server's version is a supported one."""
    yield judgements.version(context.cluster.server)


def template(context: CheckContext) -> Iterator[Finding]:
    """What is installed is what these options would install, and nothing else gets in its way."""
    yield judgements.templates(examine_templates(context.cluster, context.indices))
    with suppress(NoWriteIndex, AliasIsIndex):  # reported by the step `alias`
        found = invariants.of_next(context.cluster, lifecycle=context.managed)
        yield from judgements.violations(Topic.TEMPLATE, found)


def alias(context: CheckContext) -> Iterator[Finding]:
    """The alias has a write index."""
    behind = backing(context.cluster)
    context.write = behind.write
    others = len(behind.indices) - 1
    with_others = f", with {others:,} older ones" if others else ""
    yield ok(Topic.ALIAS, f"entries go into {behind.write}{with_others}")


def index(context: CheckContext) -> Iterator[Finding]:
    """The write index is as promised."""
    cluster, write = context.cluster, context.write
    found = invariants.of_write_index(cluster, lifecycle=context.managed)
    yield from judgements.violations(Topic.INDEX, found)
    if not found:
        yield ok(Topic.INDEX, f"{write} keeps entries as they are")
    answer = cluster.client.indices.get_settings(index=write, name=REPLICAS, flat_settings=True)
    yield from judgements.replicated(cluster.server, write, int(answer[write]["settings"].get(REPLICAS, 0)))


def write(context: CheckContext) -> Iterator[Finding]:
    """An entry gets as far as the write index. None is left there: see PROBE."""
    try:
        answer = context.cluster.client.bulk(
            operations=PROBE,  # type: ignore[arg-type] # bytes go out as they are: elastic/client.py
            index=context.connection.alias,
            require_alias=True,
            timeout=PRIMARY_WITHIN,
            filter_path=answers.FILTER_PATH,
        )
    except elasticsearch.BadRequestError:  # so 9.1.5 answers what a pipeline cannot read (measured)
        yield not_tried(Topic.WRITE, "a pipeline stands before the index, and changes what is sent")
        return
    try:
        yield judgements.written(answers.read_answer(answer.body, 1))
    except InvalidAnswer as error:
        hint = "Look at what stands between here and Elasticsearch."
        yield fail(Topic.WRITE, f"the answer is none of Elasticsearch's: {error}", hint)


def lifecycle(context: CheckContext) -> Iterator[Finding]:
    """Somebody rolls the index over and deletes what is old."""
    client = context.cluster.client
    if context.indices.lifecycle is Lifecycle.NONE:
        yield ok(Topic.LIFECYCLE, "--lifecycle none: nobody but you rolls over or deletes")
        return
    if not context.managed:
        what, _, hint = list(left_out(context.cluster.server, context.indices).values())[-1].partition(": ")
        yield warn(Topic.LIFECYCLE, what, f"{hint}.")
        return
    mode = client.options(ignore_status=403).ilm.get_status().get("operation_mode", "")
    explained = client.ilm.explain_lifecycle(index=context.connection.alias)
    yield from judgements.lifecycle(mode, explained["indices"])


def fields(context: CheckContext) -> Iterator[Finding]:
    """There is room for new fields; values that are not found are counted."""
    client = context.cluster.client
    yield judgements.fields(counting.fields(client, context.write))
    yield judgements.ignored(counting.ignored(client, context.connection.alias))


def _probe(it: Connection) -> Probe:
    """Ask one address who we are."""
    hasty = replace(it, request_timeout=min(it.request_timeout, ANSWERED_WITHIN))
    with connect(hasty) as client:
        lenient = client.options(ignore_status=WITHOUT_SECURITY)
        try:
            answer = lenient.security.authenticate()
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            return Probe(it, fault=translate(error, hasty), tls=isinstance(error, elastic_transport.TlsError))
    return Probe(it, who=answer.body if answer.meta.status == 200 else {})
