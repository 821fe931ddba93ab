"""Services that answer before they index are refused in one sentence; an address that merely looks like theirs is not."""

import pytest

from indexer.elastic.client import connect
from indexer.errors import WrongUsage
from indexer.settings import Connection

QUEUES = [
    "https://abc123.ingest.us-east-1.aws.elastic.cloud",
    "https://abc123.ingest.us-east-1.aws.elastic.cloud:443/_es",
    "https://ABC123.Ingest.eu-west-1.aws.elastic.cloud./_es/",
    "https://user:hunter2@abc123.ingest.westeurope.azure.elastic-cloud.com/_es",
    "https://abc123.ingest.private.us-east-1.aws.elastic.cloud/_es",
    "https://07tjusf2h91cunochc.us-east-1.aoss.amazonaws.com",
    "https://07tjusf2h91cunochc.cn-north-1.aoss.amazonaws.com.cn:443",
]
CLUSTERS = [
    "https://abc123.es.us-east-1.aws.elastic.cloud:443",
    "https://ingest.es.us-east-1.aws.elastic.cloud:443",
    "https://abc123.us-central1.gcp.cloud.es.io:9243",
    "https://es.ingest.example.com/_es",
    "https://ingest:9200",
    "https://aoss.example.com",
    "https://search-x-abc.us-east-1.es.amazonaws.com",
    "http://localhost:9200",
    "http://127.0.0.1:9200/_es",
    "http://[::1]:9200",
]


@pytest.mark.parametrize("url", QUEUES)
def test_a_queue_is_refused(url: str) -> None:
    """Also as one of several addresses; nothing secret is in the sentence."""
    for urls in ([url], ["https://one.example.com", url]):
        with pytest.raises(
            WrongUsage, match=r"acknowledges before it indexes.* Give the address of "
        ) as refused:
            connect(Connection(elasticsearch_url=urls))
        assert "hunter2" not in str(refused.value)


def test_the_right_address_is_named() -> None:
    """That of the same project's Elasticsearch."""
    with pytest.raises(
        WrongUsage, match=r"such as https://abc123\.es\.us-east-1\.aws\.elastic\.cloud:443\.$"
    ):
        connect(Connection(elasticsearch_url=[QUEUES[1]]))


@pytest.mark.parametrize("url", CLUSTERS)
def test_a_cluster_is_not(url: str) -> None:
    """Whatever its name and path are."""
    with connect(Connection(elasticsearch_url=[url])) as client:
        assert len(list(client.transport.node_pool.all())) == 1
