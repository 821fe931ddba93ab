"""The server behind an address: its product and version, and what they can do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from indexer.elastic.failures import causes

Version = tuple[int, int, int]


class Product(StrEnum):
    """Whose server it is; the value is its name."""

    ELASTICSEARCH = "Elasticsearch"
    OPENSEARCH = "OpenSearch"


LIFECYCLE = frozenset({Product.ELASTICSEARCH})
"""Whose servers may have index lifecycle management. No other is asked: AWS answers what OpenSearch does not have with 401."""

TESTED: dict[Product, tuple[Version, Version]] = {
    Product.ELASTICSEARCH: ((7, 17, 0), (10, 0, 0)),
    Product.OPENSEARCH: ((2, 11, 0), (4, 0, 0)),
}
"""The oldest version that is supported, and the first one that is not tested."""


class Feature(StrEnum):
    """What depends on product and version."""

    SUBOBJECTS = "subobjects"
    """A mapping may set `subobjects` to false."""
    MISSING_COMPONENTS = "ignore_missing_component_templates"
    """An index template may name component templates that do not exist yet."""
    FIELDS_BEYOND_LIMIT = "total_fields.ignore_dynamic_beyond_limit"
    """An index may keep new fields in `_source` alone once it has reached its limit of fields."""
    ALLOW_AUTO_CREATE = "allow_auto_create"
    """An index template may forbid that writing to a name creates an index."""
    SHARD_SIZE = "max_primary_shard_size"
    """A rollover may depend on the size of the largest primary shard, not of all together."""
    STATE_MANAGEMENT = "index state management"
    """A plugin may manage indices by a policy; not asked whether it is there: no server with it was at hand."""
    AUTO_CREATION = "auto-creation"
    """A defect: no template can forbid that writing to a name creates an index."""
    DIVERGING_REPLICAS = "diverging replicas"
    """A defect: at the limit of indexing pressure, replicas lose entries."""


Versions = Mapping[Product, tuple[Version, Version | None]]
"""The first version of a product that has something, and the first one that no longer has it."""

VERSIONS: dict[Feature, Versions] = {
    # Elasticsearch guide, `subobjects`; release notes of 8.7 and 7.11; Elasticsearch guide, "Mapping limit settings"
    Feature.SUBOBJECTS: {Product.ELASTICSEARCH: ((8, 3, 0), None)},
    Feature.MISSING_COMPONENTS: {Product.ELASTICSEARCH: ((8, 7, 0), None)},
    Feature.FIELDS_BEYOND_LIMIT: {Product.ELASTICSEARCH: ((8, 14, 0), None)},
    Feature.ALLOW_AUTO_CREATE: {Product.ELASTICSEARCH: ((7, 11, 0), None)},
    # Elasticsearch guide, "Rollover API"; it is in 7.17.28, the oldest one tested. OpenSearch 2.19.6: unknown condition
    Feature.SHARD_SIZE: {Product.ELASTICSEARCH: ((7, 17, 0), None)},
    # source of the plugin index-management: since 1.3 a policy may depend on the largest primary shard, and on the rollover's age
    Feature.STATE_MANAGEMENT: {Product.OPENSEARCH: ((1, 3, 0), None)},
    Feature.AUTO_CREATION: {Product.OPENSEARCH: ((1, 0, 0), None)},
    # release notes, "Known issues"
    Feature.DIVERGING_REPLICAS: {Product.ELASTICSEARCH: ((9, 5, 0), (9, 5, 3))},
}
"""OpenSearch 2.17.0 and 2.19.6 refuse the first four (measured)."""


@dataclass(frozen=True, slots=True)
class Server:
    """A product and its version, and what they can do."""

    version: Version
    lifecycle: bool
    """It has index lifecycle management."""
    product: Product = Product.ELASTICSEARCH

    def __str__(self) -> str:
        return f"{self.product} {dotted(self.version)}"

    def has(self, feature: Feature) -> bool:
        """Look product and version up in VERSIONS."""
        return self.among(VERSIONS[feature])

    def among(self, versions: Versions) -> bool:
        """Whether product and version are among these."""
        first, end = versions.get(self.product, (None, None))
        return first is not None and first <= self.version and (end is None or self.version < end)

    def lacks(self, feature: Feature) -> str:
        """Why the server does not have a feature."""
        first, _ = VERSIONS[feature].get(self.product, (None, None))
        return f"needs {self.product} {dotted(first[:2])}" if first else f"{self.product} does not have it"


def dotted(version: tuple[int, ...]) -> str:
    """A version as it is written."""
    return ".".join(map(str, version))


PRETENDED = "7.10.2"
"""The version that OpenSearch up to 2.x reports with `compatibility.override_main_response_version`, for clients of Elasticsearch."""


REFUSES_TO_SAY = "no permissions for [cluster:monitor/main] and "
"""How the reason begins with which OpenSearch's security plugin refuses `GET /`."""


def is_opensearch(info: Any) -> bool:
    """Whether this answer to `GET /` is OpenSearch's. One that reports PRETENDED leaves out its distribution (measured on 2.19.6).

    So does a refusal of its security plugin, to a user without `cluster:monitor/main` (measured on 2.11.1).
    """
    return isinstance(info, dict) and (
        dict(info.get("version") or {}).get("distribution") == "opensearch"
        or str(info.get("tagline")).startswith("The OpenSearch Project")
        or any(it.startswith(REFUSES_TO_SAY) for it in causes(info.get("error")))
    )


def product_of(client: Elasticsearch) -> Product:
    """The product alone: also for a user who may not ask for more, as each product's refusal names it. Raises what the client raises."""
    lenient = client.options(ignore_status=[400, 403, 404, 405])
    answer = lenient.perform_request("GET", "/", headers={"accept": "application/json"})
    return Product.OPENSEARCH if is_opensearch(answer.body) else Product.ELASTICSEARCH


def inspect_server(client: Elasticsearch) -> Server:
    """Ask the server for its product, version and features. Raises what the client raises."""
    try:
        info = client.info().body
        number = info["version"]["number"]
    except elasticsearch.ApiError as error:
        # The server zips on Maven Central lack the module that answers GET /.
        if error.status_code not in {400, 404, 405}:
            raise
        info, number = {}, None
    product = Product.OPENSEARCH if is_opensearch(info) else Product.ELASTICSEARCH
    if number is None or (product is Product.OPENSEARCH and number == PRETENDED):
        nodes = client.nodes.info(node_id="_local", filter_path="nodes.*.version")["nodes"]
        number = next(iter(nodes.values()))["version"]
    major, minor, patch = re.findall(r"\d+", number)[:3]
    lifecycle = product in LIFECYCLE and _has_lifecycle(client)
    return Server((int(major), int(minor), int(patch)), lifecycle, product)


def _has_lifecycle(client: Elasticsearch) -> bool:
    status = client.options(ignore_status=[400, 403, 404, 405]).ilm.get_status()
    return status.meta.status in {200, 403}  # 403: it is there, and this user may not ask
