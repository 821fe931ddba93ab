"""What can go wrong with Zoomdata, each with its sentence and its cure."""

from indexer.errors import Fatal


class ZoomdataUnreachable(Fatal):
    """No connection, or no answer in time."""

    sentence = "No answer from Zoomdata at {url} ({reason})."
    cure = "Is it running, and is --zoomdata-url (INDEXER_ZOOMDATA_URL) its address?"


class ZoomdataNotSecure(Fatal):
    """No TLS connection that can be trusted; nothing was sent."""

    sentence = "No secure connection to Zoomdata at {url}: {reason}."
    cure = (
        "Give the certificate of the CA that signed it with --zoomdata-ca-certs (INDEXER_ZOOMDATA_CA_CERTS)."
    )


class WrongContext(Fatal):
    """Nothing at that address answers as Zoomdata's API does."""

    sentence = "There is no Zoomdata API at {url}: {tried}."
    cure = "Give --zoomdata-url with the context that its pages have in the browser, such as https://host:8443/composer."


class ZoomdataUnauthenticated(Fatal):
    """401."""

    sentence = "Zoomdata at {url} does not accept {who}: {reason}."
    cure = "Check --zoomdata-username and its password; a user who logs in by SAML or a bundled portal cannot be used here."


class ZoomdataForbids(Fatal):
    """403: known, and not allowed to."""

    sentence = "Zoomdata at {url} does not let {who} {doing}: {reason}."
    cure = "It takes {needed}."


class ZoomdataUnexpected(Fatal):
    """A status that no other error stands for."""

    sentence = "Zoomdata at {url} answers {status} to {request}: {reason}."
    cure = "Look at its log."


class ZoomdataTooOld(Fatal):
    """Its interface has another form."""

    sentence = "Zoomdata at {url} is {version}, and its interface (v3) came with 6.9."
    cure = "Upgrade it, or do it by hand: {steps}"


class ConnectorNotEnabled(Fatal):
    """There is a connector, and it is switched off."""

    sentence = "Zoomdata at {url} has no connector for Elasticsearch that is enabled ({there})."
    cure = "A supervisor enables it: Connectors, or its connector service has to be started (zoomdata-edc-elasticsearch-…)."


class ElasticsearchTooOld(Fatal):
    """All connectors are for later servers."""

    sentence = "Zoomdata at {url} has no connector for Elasticsearch {server}: {there}."
    cure = "Upgrade Elasticsearch, or enable an older connector."


class ParametersMissing(Fatal):
    """The connector asks for what we do not know."""

    sentence = "Zoomdata's connector {connector} needs what is not known here: {missing}."
    cure = "Give each with --parameter KEY=VALUE."


class NotConnected(Fatal):
    """Zoomdata tried the connection, and it failed."""

    sentence = "Zoomdata cannot connect to Elasticsearch at {address} as {user}: {reason}."
    cure = (
        "It connects from its own host: give the address that it sees with --reader-url; a private CA belongs into the truststore of "
        "the connector service there."
    )


class NothingToSee(Fatal):
    """The connection works, and shows neither the alias nor its indices."""

    sentence = (
        "Zoomdata sees neither the alias {alias!r} nor its indices through the connection {connection!r}."
    )
    cure = "Its Elasticsearch user needs the role {alias}-zoomdata (`indexer template roles`), and `indexer template install` must have run."


class ForeignSource(Fatal):
    """Somebody else's source bears our name."""

    sentence = "In Zoomdata at {url} there is another source {name!r}: {reason}."
    cure = "Rename or delete it, or choose another --alias."


class NotSwitched(Fatal):
    """It answered that it would, and did not; or it has no such interface."""

    sentence = "Zoomdata at {url} does not switch by REST: {reason}."
    cure = "Put into zoomdata.properties: {lines}; then restart it."
