"""The server behind an address: its version, and what that version can do."""

import re
from dataclasses import dataclass
from enum import StrEnum

import elasticsearch
from elasticsearch import Elasticsearch

Version = tuple[int, int, int]
OLDEST: Version = (7, 17, 0)
"""The oldest version that is supported."""
NEXT: Version = (10, 0, 0)
"""The first version that is not tested."""


class Feature(StrEnum):
    """What depends on the version."""

    SUBOBJECTS = "subobjects"
    """A mapping may set `subobjects` to false."""
    MISSING_COMPONENTS = "ignore_missing_component_templates"
    """An index template may name component templates that do not exist yet."""
    FIELDS_BEYOND_LIMIT = "total_fields.ignore_dynamic_beyond_limit"
    """An index may keep new fields in `_source` alone once it has reached its limit of fields."""
    DIVERGING_REPLICAS = "diverging replicas"
    """A defect: at the limit of indexing pressure, replicas lose entries."""


VERSIONS: dict[Feature, tuple[Version, Version | None]] = {
    Feature.SUBOBJECTS: ((8, 3, 0), None),  # Elasticsearch guide, `subobjects`
    Feature.MISSING_COMPONENTS: ((8, 7, 0), None),  # release notes of 8.7
    Feature.FIELDS_BEYOND_LIMIT: ((8, 14, 0), None),  # Elasticsearch guide, "Mapping limit settings"
    Feature.DIVERGING_REPLICAS: ((9, 5, 0), (9, 5, 3)),  # release notes, "Known issues"
}
"""The first version that has a feature, and the first one that no longer has it."""


@dataclass(frozen=True, slots=True)
class Server:
    """A version, and what it can do."""

    version: Version
    lifecycle: bool
    """It has index lifecycle management."""

    def __str__(self) -> str:
        return ".".join(map(str, self.version))

    def has(self, feature: Feature) -> bool:
        """Look the version up in VERSIONS."""
        first, end = VERSIONS[feature]
        return first <= self.version and (end is None or self.version < end)


def inspect_server(client: Elasticsearch) -> Server:
    """Ask the server for its version and features. Raises what the client raises."""
    return Server(version=_version(client), lifecycle=_has_lifecycle(client))


def _version(client: Elasticsearch) -> Version:
    try:
        number = client.info()["version"]["number"]
    except elasticsearch.ApiError as error:
        # The server zips on Maven Central lack the module that answers GET /.
        if error.status_code not in {400, 404, 405}:
            raise
        nodes = client.nodes.info(node_id="_local", filter_path="nodes.*.version")["nodes"]
        number = next(iter(nodes.values()))["version"]
    major, minor, patch = re.findall(r"\d+", number)[:3]
    return int(major), int(minor), int(patch)


def _has_lifecycle(client: Elasticsearch) -> bool:
    status = client.options(ignore_status=[400, 403, 404, 405]).ilm.get_status()
    return status.meta.status in {200, 403}  # 403: it is there, and this user may not ask
