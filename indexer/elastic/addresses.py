"""Addresses that a person gives, which may hold a user and a password: read strictly, so that nothing of them gets lost or shown.

Programs differ in where a host begins when a password holds a sign that has a meaning in an address: what one takes for the
password, the next one calls as a host. Such an address is none here, and not quoted.
"""

import re
from collections.abc import Sequence

from elastic_transport import NodeConfig

from indexer.errors import WrongUsage

ELASTIC = (".elastic.cloud", ".elastic-cloud.com", ".found.io")
AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws")

_ENCODED = "%[0-9A-Fa-f]{2}"
_ADDRESS = re.compile(
    rf"(?i:https?)://(?:(?:[^\s/?#@\[\]\\%]|{_ENCODED})*@)?"
    rf"(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\%]+)(?::\d+)?(?:/(?:[^\s?#@\\%]|{_ENCODED})*)?"
)
"""RFC 3986 without query and fragment, with letters of any script."""
_QUOTABLE = re.compile(r"(?:\w++://)?(?:\[[^]@]*+\]|[^:/@]*+)(?::\d*+)?(?:/[^:@]*+)?\s*+")
"""What can hold no password: nothing behind a colon but a port."""


def is_address(url: str) -> bool:
    """Tell whether it is one of http or https, and all programs read the same host in it."""
    return _ADDRESS.fullmatch(url) is not None


def refused(url: str, kind: str, option: str, example: str, others: Sequence[str] = ()) -> WrongUsage:
    """What to raise for one that is none; it is quoted, unless it or one of the others may hold a password.

    others   those given with it: an environment variable is split at blanks, which may be in the middle of one.
    """
    remedy = f"Give {option} one like {example}"
    if _QUOTABLE.fullmatch(url) and not any("@" in each for each in others):
        return WrongUsage(what=f"{url!r} is no {kind}", remedy=remedy)
    return WrongUsage(
        what=f"What {option} holds (not shown, as it may be a password) is no {kind}",
        remedy=f"{remedy}; signs in a user or password are written as % and their hexadecimal code, such as %2F for /, %20"
        " for a blank, %40 for @",
    )


def refuse_queues(node: NodeConfig) -> None:
    """Raise WrongUsage if entries cannot be delivered exactly once to this address.

    These services accept Elasticsearch's bulk API and answer before they index, under ids of their own; what is sent
    again is doubled, and what cannot be indexed is lost without an answer:

        <project>.ingest.<region>.<provider>.elastic.cloud   Elastic Cloud's managed ingest (Elastic documentation,
                                                             "Ingest data with the Managed Elasticsearch _bulk endpoint")
        <collection>.<region>.aoss.amazonaws.com             Amazon OpenSearch Serverless
    """
    host = node.host.lower().rstrip(".")
    labels = host.split(".")
    if "ingest" in labels[1:] and host.endswith(ELASTIC):
        own = ".".join("es" if label == "ingest" else label for label in labels)
        raise _queue(host, f"Give the address of Elasticsearch itself, such as https://{own}:{node.port}")
    if "aoss" in labels and host.endswith(AMAZON):
        raise _queue(host, "Give the address of a cluster that is not serverless")


def _queue(host: str, remedy: str) -> WrongUsage:
    what = f"{host} answers before it indexes, and ignores our ids: entries could be lost, or be there twice"
    return WrongUsage(what=what, remedy=remedy)
