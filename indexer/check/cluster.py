"""The steps that send requests to the cluster. Each yields its results, and stores in the context what later steps need.

A step may raise Fatal, which the caller turns into a result.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import urlsplit

import elastic_transport
import elasticsearch

from indexer.check import judgements
from indexer.check.results import CheckResult, Topic, fail, failed, not_tried, ok, warn
from indexer.dashboards.activity_types import asked_for
from indexer.elastic import fields as counting
from indexer.elastic.alias import backing
from indexer.elastic.client import connect, display_url, translate
from indexer.elastic.cluster import Cluster
from indexer.elastic.failures import InvalidAnswer, reading_answer
from indexer.elastic.last_seals import last_seals
from indexer.elastic.security import ABSENT, INTERFACES, Interface, User
from indexer.elastic.server import product_of
from indexer.errors import AliasIsIndex, Fatal, NoWriteIndex, Refused
from indexer.settings import Connection, Indices, Lifecycle
from indexer.setup import invariants
from indexer.setup.plan import left_out, managed
from indexer.setup.roles import roles
from indexer.setup.rollover import POLICIES, managed_by
from indexer.setup.templates import examine_templates
from indexer.writing import answers

ANSWERED_WITHIN = 10.0
"""Seconds to wait for an answer, at most."""
PROBE = b'{"create":{"_id":"indexer-check"}}\n{\n'
"""An entry that is not JSON. It is rejected only after privileges, alias, blocks and the primary shard were checked, and
nothing is stored (measured on 7.17.28, 8.19.16 and 9.1.5)."""
PRIMARY_WITHIN = "5s"
"""How long the server waits for the primary shard."""
TYPES = 200
"""How many activity types are looked at, the most frequent ones."""
REPLICAS = "index.number_of_replicas"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Probe:
    """What one address answers to the question who the user is."""

    connection: Connection
    """With this address only."""
    security: Interface | None = None
    """Of its product, if that is known."""
    who: User | None = None
    """None if security is off or the request failed."""
    fault: Fatal | None = None
    tls: bool = False
    """TLS failed."""

    @property
    def reached(self) -> bool:
        """A server answers there, even if it refuses the connection or the user."""
        return self.fault is None or self.tls or isinstance(self.fault, Refused)


@dataclass
class CheckContext:
    """The settings, and what earlier steps found."""

    connection: Connection
    indices: Indices
    open: ExitStack
    """Closes what the steps open."""
    probes: list[Probe] = field(default_factory=list)
    write: str = ""
    """The write index."""

    @cached_property
    def cluster(self) -> Cluster:
        """With the addresses that answer."""
        urls = [url for it in self.probes if it.fault is None for url in it.connection.elasticsearch_url]
        client = self.open.enter_context(connect(replace(self.connection, elasticsearch_url=urls)))
        return Cluster(client, self.connection)

    @property
    def managed(self) -> bool:
        """The server's lifecycle management is to manage the indices."""
        return managed(self.cluster.server, self.indices)

    @property
    def user(self) -> User | None:
        """The authenticated user; None if security is off."""
        return next((it.who for it in self.probes if it.who), None)


def configuration(context: CheckContext) -> Iterator[CheckResult]:
    """The settings are valid. Raises Fatal."""
    with connect(context.connection):
        pass
    it = context.connection
    yield ok(Topic.CONFIGURATION, f"alias {it.alias} on {display_url(it)}")


def connection(context: CheckContext) -> Iterator[CheckResult]:
    """Elasticsearch answers at each address; one of them is enough."""
    it = context.connection
    context.probes = [_probe(replace(it, elasticsearch_url=[url])) for url in it.elasticsearch_url]
    some = any(probe.reached for probe in context.probes)
    for probe in context.probes:
        if probe.reached or probe.fault is None:
            yield ok(Topic.CONNECTION, f"{display_url(probe.connection)} answers")
        elif some:
            result = failed(Topic.CONNECTION, probe.fault)
            yield warn(Topic.CONNECTION, result.what, result.cure)
        else:
            yield failed(Topic.CONNECTION, probe.fault)


def tls(context: CheckContext) -> Iterator[CheckResult]:
    """Connections are encrypted, and the server's certificate is valid."""
    for probe in context.probes:
        url = display_url(probe.connection)
        if probe.fault is not None and probe.tls:
            yield failed(Topic.TLS, probe.fault)
        elif url.startswith("https:"):
            yield ok(Topic.TLS, f"the certificate of {url} is valid")
        elif probe.who and urlsplit(url).hostname not in LOOPBACK:
            what = f"passwords, keys and entries are sent to {url} unencrypted"
            yield warn(Topic.TLS, what, "Use https, with --ca-certs.")
        else:
            yield ok(Topic.TLS, f"{url} does not use TLS")


def authentication(context: CheckContext) -> Iterator[CheckResult]:
    """The server accepts the user, if security is on."""
    for fault in (probe.fault for probe in context.probes if isinstance(probe.fault, Refused)):
        yield failed(Topic.AUTHENTICATION, fault)
    for security, who in ((it.security, it.who) for it in context.probes if it.security is not None):
        if who is None:
            what = "security is off: everybody who can reach the server can read, change and delete entries"
            yield warn(Topic.AUTHENTICATION, what, f"Enable it ({security.enable}).")
        else:
            yield ok(Topic.AUTHENTICATION, f"{who}")
        return


def privileges(context: CheckContext) -> Iterator[CheckResult]:
    """The user has the privileges that `indexer run` needs."""
    user, cluster = context.user, context.cluster
    alias = cluster.alias
    if user is None:
        yield not_tried(Topic.PRIVILEGES, "security is off: no privileges are needed")
        return
    if not INTERFACES[cluster.product].tells_privileges:
        yield judgements.roles_held(cluster.product, user, alias)
        return
    wanted = roles(alias)
    answer = cluster.client.security.has_privileges(**judgements.asked(wanted))
    yield judgements.privileges(wanted, alias, answer.body)


def version(context: CheckContext) -> Iterator[CheckResult]:
    """The server's version is supported."""
    yield judgements.version(context.cluster.server)


def template(context: CheckContext) -> Iterator[CheckResult]:
    """The installed templates are those of these options, and no other template interferes."""
    yield judgements.templates(examine_templates(context.cluster, context.indices))
    with suppress(NoWriteIndex, AliasIsIndex):  # reported by the step `alias`
        found = invariants.of_next(context.cluster, lifecycle=context.managed)
        yield from judgements.violations(Topic.TEMPLATE, found)


def alias(context: CheckContext) -> Iterator[CheckResult]:
    """The alias has a write index."""
    behind = backing(context.cluster)
    context.write = behind.write
    others = len(behind.indices) - 1
    with_others = f", with {others:,} older ones" if others else ""
    yield ok(Topic.ALIAS, f"entries go into {behind.write}{with_others}")


def index(context: CheckContext) -> Iterator[CheckResult]:
    """The write index has the settings and mappings that it needs."""
    cluster, write = context.cluster, context.write
    found = invariants.of_write_index(cluster, lifecycle=context.managed)
    yield from judgements.violations(Topic.INDEX, found)
    if not found:
        yield ok(Topic.INDEX, f"{write} stores entries unchanged")
    answer = cluster.client.indices.get_settings(index=write, name=REPLICAS, flat_settings=True)
    yield from judgements.replicated(cluster.server, write, int(answer[write]["settings"].get(REPLICAS, 0)))


def write(context: CheckContext) -> Iterator[CheckResult]:
    """The write index accepts entries. Nothing is stored: see PROBE."""
    try:
        answer = context.cluster.client.bulk(
            operations=PROBE,  # type: ignore[arg-type] # bytes go out as they are: elastic/client.py
            index=context.connection.alias,
            require_alias=True,
            timeout=PRIMARY_WITHIN,
            filter_path=answers.FILTER_PATH,
        )
    except elasticsearch.BadRequestError:  # 9.1.5, if a pipeline cannot parse the entry (measured)
        yield not_tried(Topic.WRITE, "an ingest pipeline parses entries before they are indexed")
        return
    try:
        yield judgements.written(answers.read_answer(answer.body, 1))
    except InvalidAnswer as error:
        hint = "Check the proxy between this machine and Elasticsearch."
        yield fail(Topic.WRITE, f"the answer is not from Elasticsearch: {error}", hint)


def lifecycle(context: CheckContext) -> Iterator[CheckResult]:
    """Old indices are rolled over and deleted."""
    client = context.cluster.client
    if context.indices.lifecycle is Lifecycle.NONE:
        yield ok(Topic.LIFECYCLE, "--lifecycle none: indices are not rolled over and deleted automatically")
        return
    if not context.managed:
        asked = [*POLICIES, REPLICAS]  # that one each index has: without any, an index would be left out
        answer = client.indices.get_settings(index=context.write, name=asked, flat_settings=True)
        if managed_by(answer[context.write]["settings"]) is not None:
            yield ok(Topic.LIFECYCLE, f"{context.write} is rolled over by index state management")
            return
        what, _, hint = list(left_out(context.cluster.server, context.indices).values())[-1].partition(": ")
        yield warn(Topic.LIFECYCLE, what, f"{hint}.")
        return
    mode = client.options(ignore_status=403).ilm.get_status().get("operation_mode", "")
    explained = client.ilm.explain_lifecycle(index=context.connection.alias)
    yield from judgements.lifecycle(mode, explained["indices"])


def fields(context: CheckContext) -> Iterator[CheckResult]:
    """There is room for new fields; entries with unsearchable values are counted."""
    client = context.cluster.client
    yield judgements.fields(counting.fields(client, context.write))
    yield judgements.ignored(counting.ignored(context.cluster))


def types(context: CheckContext) -> Iterator[CheckResult]:
    """Dashboards and alerts are about the activity types that Zoomdata logs."""
    found, _ = counting.entries_by_type(context.cluster.client, context.connection.alias, TYPES)
    yield from judgements.types(found, asked_for())


def seals(context: CheckContext) -> Iterator[CheckResult]:
    """The alias has seals, and they are recent. Their signatures are not checked."""
    found = last_seals(context.cluster.client, context.connection.seals)
    yield from judgements.seals(found, datetime.now(UTC))


def _probe(it: Connection) -> Probe:
    """Authenticate at one address."""
    quick = replace(it, request_timeout=min(it.request_timeout, ANSWERED_WITHIN))
    with connect(quick) as client:
        lenient = client.options(ignore_status=ABSENT)
        try:
            security = INTERFACES[product_of(client)]
            answer = lenient.perform_request("GET", security.whoami, headers={"accept": "application/json"})
            with reading_answer():
                who = security.user(answer.body) if answer.meta.status == 200 else None
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            return Probe(it, fault=translate(error, quick), tls=isinstance(error, elastic_transport.TlsError))
    return Probe(it, security, who)
