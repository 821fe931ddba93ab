"""Which products and versions take an entry that is odd, each measured on the versions that are tested."""

from collections.abc import Mapping

from indexer.elastic.server import TESTED, Product, Server, Version

ELASTICSEARCH, OPENSEARCH = Product.ELASTICSEARCH, Product.OPENSEARCH
Takes = Mapping[Product, tuple[Version, Version | None]]
"""The first version of a product that takes it, and the first one that no longer does, as in `server.VERSIONS`."""

_EVERY = {product: (oldest, None) for product, (oldest, _) in TESTED.items()}
ANY: Takes = _EVERY
"""All do."""
OBJECTS: Takes = _EVERY | {ELASTICSEARCH: ((8, 3, 0), None)}
"""An object where a value was: with `subobjects`; OpenSearch takes it for a malformed value, which it stores."""
VALUES: Takes = {ELASTICSEARCH: ((8, 3, 0), None)}
"""A value where an object was, odd dots in a name, over 20 levels: with `subobjects` alone."""
DEEP_ARRAYS: Takes = {ELASTICSEARCH: _EVERY[ELASTICSEARCH]}
"""Arrays of over 20 levels: OpenSearch counts them as it counts objects."""
MANY_FIELDS: Takes = {ELASTICSEARCH: ((8, 14, 0), None)}
"""New fields past the limit: with `ignore_dynamic_beyond_limit`."""
BLANK_NAMES: Takes = _EVERY | {ELASTICSEARCH: ((7, 17, 0), (8, 0, 0))}
"""A field whose name is a blank."""
MIXED_ARRAYS: Takes = {ELASTICSEARCH: ((9, 5, 0), None)}
"""An array of mixed types in a new field."""
METADATA: Takes = {OPENSEARCH: _EVERY[OPENSEARCH]}
"""A field with the name of a metadata field."""


def takes(server: Server, versions: Takes) -> bool:
    """Whether this server is among them."""
    first, end = versions.get(server.product, (None, None))
    return first is not None and first <= server.version and (end is None or server.version < end)
