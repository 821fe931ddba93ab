"""Addresses given by the user, which may contain a user name and a password: parsed strictly, so that no password is shown.

Programs differ in where the host begins if a password contains a reserved character: one program's password is another
one's host. Such an address is rejected here, and not quoted.
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
"""RFC 3986 without query and fragment, with non-ASCII letters."""
_QUOTABLE = re.compile(r"(?:\w++://)?(?:\[[^]@]*+\]|[^:/@]*+)(?::\d*+)?(?:/[^:@]*+)?\s*+")
"""What cannot contain a password: only a port follows a colon."""


def is_address(url: str) -> bool:
    """Whether it is an http or https address in which all programs see the same host."""
    return _ADDRESS.fullmatch(url) is not None


def refused(url: str, kind: str, option: str, example: str, others: Sequence[str] = ()) -> WrongUsage:
    """The error for an invalid address; it is quoted, unless it or one of the others may contain a password.

    others   those given with it: an environment variable is split at blanks, which may be inside an address.
    """
    remedy = f"Give {option} one like {example}"
    if _QUOTABLE.fullmatch(url) and not any("@" in each for each in others):
        return WrongUsage(what=f"{url!r} is not a valid {kind}", remedy=remedy)
    return WrongUsage(
        what=f"The value of {option} (not shown, as it may contain a password) is not a valid {kind}",
        remedy=f"{remedy}; reserved characters in a user or password are percent-encoded, such as %2F for /, %20"
        " for a blank, %40 for @",
    )


def refuse_queues(node: NodeConfig) -> None:
    """Raise WrongUsage if entries cannot be delivered exactly once to this address.

    These services accept Elasticsearch's bulk API, acknowledge before they index, and use ids of their own. Entries sent
    again are duplicated, and entries that cannot be indexed are lost without an error:

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
    what = (
        f"{host} acknowledges before it indexes and ignores document ids: entries could be lost or duplicated"
    )
    return WrongUsage(what=what, remedy=remedy)
