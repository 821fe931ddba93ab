"""A client whose searches are about all shards of an index, or fail: figures that silently lack a shard would be wrong.

The shard of an index that has just been created, by a rollover say, answers some tens of milliseconds later. The index is
behind its alias before that, so that who asks then asks again for a while.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from elastic_transport import ApiResponse
from elasticsearch import ApiError, Elasticsearch

SEARCH = "/_search"
READS = (SEARCH, "/_pit", "/_search/point_in_time")
"""How the paths of searches end, and of what opens a point in time."""
PATIENCE = 5.0
"""Seconds after which a shard that does not answer is reported."""
AGAIN_AFTER = 0.1
"""Seconds between two tries."""

Answer = TypeVar("Answer")


class Client(Elasticsearch):
    """Refuses partial results, and waits for new shards."""

    def perform_request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, **rest: Any
    ) -> ApiResponse[Any]:
        """As the library's, and raises what that raises."""
        if path.endswith(SEARCH):
            params = {"allow_partial_search_results": "false"} | dict(params or {})
        ask = partial(super().perform_request, method, path, params=params, **rest)
        return once_shards_answer(ask, _lacks_shards) if path.endswith(READS) else ask()


def once_shards_answer(ask: Callable[[], Answer], lacks_shards: Callable[[Exception], bool]) -> Answer:
    """Ask again after an exception that says that a shard does not answer, up to PATIENCE; then raise it."""
    given_up = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except Exception as error:
            if not lacks_shards(error) or time.monotonic() > given_up:
                raise
        time.sleep(AGAIN_AFTER)


def _lacks_shards(error: Exception) -> bool:
    return isinstance(error, ApiError) and error.status_code == 503
