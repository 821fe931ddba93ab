"""Services that speak Elasticsearch's bulk API and answer before they index, under ids of their own.

What is sent to them again is there twice, and what they cannot index is lost without an answer:

    <project>.ingest.<region>.<provider>.elastic.cloud   Elastic Cloud's managed ingest (Elastic documentation, "Ingest data
                                                         with the Managed Elasticsearch _bulk endpoint")
    <collection>.<region>.aoss.amazonaws.com             Amazon OpenSearch Serverless
"""

from elastic_transport import NodeConfig

from indexer.errors import WrongUsage

ELASTIC = (".elastic.cloud", ".elastic-cloud.com", ".found.io")
AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws")


def refuse_queues(node: NodeConfig) -> None:
    """Raise WrongUsage if entries cannot be delivered exactly once to this address."""
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
