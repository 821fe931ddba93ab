"""Which products and versions take an entry that is odd, each measured on the versions that are tested."""

from indexer.elastic.server import TESTED, Product, Versions

ELASTICSEARCH, OPENSEARCH = Product.ELASTICSEARCH, Product.OPENSEARCH

_EVERY = {product: (oldest, None) for product, (oldest, _) in TESTED.items()}
ANY: Versions = _EVERY
"""All do."""
OBJECTS: Versions = _EVERY | {ELASTICSEARCH: ((8, 3, 0), None)}
"""An object where a value was: with `subobjects`; OpenSearch takes it for a malformed value, which it stores."""
VALUES: Versions = {ELASTICSEARCH: ((8, 3, 0), None)}
"""A value where an object was, odd dots in a name, over 20 levels: with `subobjects` alone."""
DEEP_ARRAYS: Versions = {ELASTICSEARCH: _EVERY[ELASTICSEARCH]}
"""Arrays of over 20 levels: OpenSearch counts them as it counts objects."""
MANY_FIELDS: Versions = {ELASTICSEARCH: ((8, 14, 0), None)}
"""New fields past the limit: with `ignore_dynamic_beyond_limit`."""
BLANK_NAMES: Versions = _EVERY | {ELASTICSEARCH: ((7, 17, 0), (8, 0, 0))}
"""A field whose name is a blank."""
MIXED_ARRAYS: Versions = {ELASTICSEARCH: ((9, 5, 0), None)}
"""An array of mixed types in a new field."""
METADATA: Versions = {OPENSEARCH: _EVERY[OPENSEARCH]}
"""A field with the name of a metadata field."""
