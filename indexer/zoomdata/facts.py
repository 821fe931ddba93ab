"""What Zoomdata needs to know of the server: address, cluster name, and the fields of each activity type."""

from collections import defaultdict
from typing import Any
from urllib.parse import quote, urlsplit

from elasticsearch import Elasticsearch

from indexer.elastic.cluster import Cluster
from indexer.errors import WrongUsage
from indexer.settings import Reader
from indexer.setup.view_install import TYPES
from indexer.setup.views import assigned, type_of, views_in
from indexer.zoomdata.connectors import Access
from indexer.zoomdata.sources import SourceSpec

FIELDS_PER_SEARCH = 300
"""FIELDS_PER_SEARCH * TYPES stays below 65,536 buckets (`search.max_buckets`)."""


def access(cluster: Cluster, reader: Reader) -> Access:
    """How Zoomdata reaches the server. Requires the cluster privilege `monitor`. Raises WrongUsage, SecretUnusable."""
    user, password = reader.reader_username, reader.reader_password
    if (user is None) != (password is None):
        raise WrongUsage(
            what="--reader-username and its password belong together",
            remedy="Give both: --reader-username, and INDEXER_READER_PASSWORD or --reader-password-file",
        )
    if user is None and (
        cluster.connection.identities or "@" in "".join(cluster.connection.elasticsearch_url)
    ):
        raise WrongUsage(
            what=f"Zoomdata needs a user of its own for {cluster.server.product}",
            remedy=f"Give --reader-username, with the role {cluster.alias}-zoomdata (`indexer template roles`), and its "
            "password by INDEXER_READER_PASSWORD or --reader-password-file",
        )
    if "@" in (reader.reader_url or ""):
        raise WrongUsage(
            what="--reader-url holds a user", remedy="Give --reader-username and its password instead"
        )
    name = cluster.client.nodes.info(node_id="_local", filter_path="cluster_name")["cluster_name"]
    return Access(reader.reader_url or address(cluster.url), str(name), user, password)


def address(urls: str) -> str:
    """The addresses of several nodes as one connection string: scheme://host:port,host:port/path.

    Raises WrongUsage if they differ in more than host and port.
    """
    parts = [urlsplit(url) for url in urls.split(", ")]
    if len({(it.scheme, it.path.rstrip("/")) for it in parts}) != 1 or not parts[0].hostname:
        raise WrongUsage(what=f"{urls} differ in more than host and port", remedy="Give it with --reader-url")
    standard = 443 if parts[0].scheme == "https" else 80
    nodes = [f"[{it.hostname}]" if ":" in str(it.hostname) else str(it.hostname) for it in parts]
    ports = [it.port or standard for it in parts]
    listed = ",".join(f"{node}:{port}" for node, port in zip(nodes, ports, strict=True))
    return f"{parts[0].scheme}://{listed}{parts[0].path.rstrip('/')}"


def source_specs(cluster: Cluster, *, views: bool) -> list[SourceSpec]:
    """The sources to install: one over the alias, and with `views` one for each type that has a view and entries.

    Requires `read` and `view_index_metadata`. Raises what the client raises.
    """
    client, alias = cluster.client, cluster.alias
    everything = SourceSpec(alias, alias)
    if not views:
        return [everything]
    found = fields_by_type(client, alias)
    return [
        everything,
        *(
            SourceSpec(name, alias, activity_type, found[activity_type])
            for name, activity_type in sorted(_views(client, alias).items())
            if activity_type in found
        ),
    ]


def types_without_view(cluster: Cluster) -> list[str]:
    """Types in the index for which `indexer template views` would create a view."""
    types = dict.fromkeys(_types(cluster.client, cluster.alias), 1)
    have = set(_views(cluster.client, cluster.alias).values())
    fresh, _ = assigned({it: n for it, n in types.items() if it not in have}, {}, cluster.alias)
    return sorted(str(type_of(view)) for view in fresh.values())


def fields_by_type(client: Elasticsearch, alias: str) -> dict[str, frozenset[str]]:
    """For each activity type, the fields that at least one of its entries has."""
    mapped = _fields(client, alias)
    found: dict[str, set[str]] = defaultdict(set)
    for start in range(0, len(mapped), FIELDS_PER_SEARCH):
        exists = {name: {"exists": {"field": name}} for name in mapped[start : start + FIELDS_PER_SEARCH]}
        having = {"fields": {"filters": {"filters": exists}}}
        aggs = {"types": {"terms": {"field": "activityType", "size": TYPES}, "aggs": having}}
        answer = client.search(index=alias, size=0, aggs=aggs, track_total_hits=False)
        for bucket in answer["aggregations"]["types"]["buckets"]:
            has = (name for name, each in bucket["fields"]["buckets"].items() if each["doc_count"])
            found[bucket["key"]].update(has)
    return {activity_type: frozenset(fields) for activity_type, fields in found.items()}


def _fields(client: Elasticsearch, alias: str) -> list[str]:
    """All searchable fields, without metadata fields."""
    # `fields` goes into the URL: the client's field_caps() puts it into the body, which 7.17 ignores (measured).
    path = f"/{quote(alias)}/_field_caps?fields=*"
    capabilities = client.perform_request("GET", path, headers={"accept": "application/json"})["fields"]
    return sorted(
        name
        for name, kinds in capabilities.items()
        if not _is_metadata(name, kinds) and not kinds.keys() & {"object", "nested"}
    )


def _is_metadata(name: str, kinds: dict[str, dict[str, Any]]) -> bool:
    """OpenSearch 2.11 to 2.19 lacks `metadata_field`: there, such a field has a type of its own, but for one (measured).

    It answers 500 to `exists` on some of them.
    """
    flagged = any(it.get("metadata_field") for it in kinds.values())
    return flagged or name == "_doc_count" or any(kind.startswith("_") for kind in kinds)


def _types(client: Elasticsearch, alias: str) -> list[str]:
    terms = {"types": {"terms": {"field": "activityType", "size": TYPES}}}
    answer = client.search(index=alias, size=0, aggs=terms, track_total_hits=False)
    return [bucket["key"] for bucket in answer["aggregations"]["types"]["buckets"]]


def _views(client: Elasticsearch, alias: str) -> dict[str, str]:
    """View → activity type, for the views that every index behind the alias has."""
    held = [views_in(it["aliases"], alias) for it in client.indices.get_alias(index=alias).values()]
    common = set.intersection(*(set(each) for each in held)) if held else set()
    return {name: found for name in common if (found := type_of(held[0][name])) is not None}
