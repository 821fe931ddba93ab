"""What can go wrong with Zoomdata, each with its sentence and its cure."""

from indexer.errors import Fatal


class ZoomdataUnreachable(Fatal):
    """No connection, or no answer in time."""

    sentence = "No answer from Zoomdata at {url} ({reason})."
    hint = "Is it running, and is --zoomdata-url (INDEXER_ZOOMDATA_URL) its address?"


class ZoomdataNotSecure(Fatal):
    """No TLS connection that can be trusted; nothing was sent."""

    sentence = "No secure connection to Zoomdata at {url}: {reason}."
    hint = (
        "Give the certificate of the CA that signed it with --zoomdata-ca-certs (INDEXER_ZOOMDATA_CA_CERTS)."
    )


class WrongContext(Fatal):
    """Nothing at that address answers as Zoomdata's API does."""

    sentence = "There is no Zoomdata API at {url}: {tried}."
    hint = "Give --zoomdata-url with the context that its pages have in the browser, such as https://host:8443/composer."


class ZoomdataUnauthenticated(Fatal):
    """401."""

    sentence = "Zoomdata at {url} does not accept {who}: {reason}."
    hint = "Check --zoomdata-username and its password; a user who logs in by SAML or a bundled portal cannot be used here."


class ZoomdataForbids(Fatal):
    """403: known, and not allowed to."""

    sentence = "Zoomdata at {url} does not let {who} {doing}: {reason}."
    hint = "It takes {needed}."


class ZoomdataUnexpected(Fatal):
    """A status that no other error stands for."""

    sentence = "Zoomdata at {url} answers {status} to {request}: {reason}."
    hint = "Look at its log."


class ZoomdataTooOld(Fatal):
    """Its interface has another form."""

    sentence = "Zoomdata at {url} is {version}, and its interface (v3) came with 6.9."
    hint = "Upgrade it, or do it by hand: {steps}"


class ConnectorNotEnabled(Fatal):
    """There is a connector, and it is switched off."""

    sentence = "Zoomdata at {url} has no connector for Elasticsearch that is enabled ({there})."
    hint = "A supervisor enables it: Connectors, or its connector service has to be started (zoomdata-edc-elasticsearch-…)."


class ElasticsearchTooOld(Fatal):
    """All connectors are for later servers."""

    sentence = "Zoomdata at {url} has no connector for Elasticsearch {server}: {there}."
    hint = "Upgrade Elasticsearch, or enable an older connector."


class ParametersMissing(Fatal):
    """The connector asks for what we do not know."""

    sentence = "Zoomdata's connector {connector} needs what is not known here: {missing}."
    hint = "Give each with --parameter KEY=VALUE."


class NotConnected(Fatal):
    """Zoomdata tried the connection, and it failed."""

    sentence = "Zoomdata cannot connect to Elasticsearch at {address} as {user}: {reason}."
    hint = (
        "It connects from its own host: give the address that it sees with --reader-url; a private CA belongs into the truststore of "
        "the connector service there."
    )


class NothingToSee(Fatal):
    """The connection works, and shows neither the alias nor its indices."""

    sentence = (
        "Zoomdata sees neither the alias {alias!r} nor its indices through the connection {connection!r}."
    )
    hint = "Its Elasticsearch user needs the role {alias}-zoomdata (`indexer template roles`), and `indexer template install` must have run."


class ForeignSource(Fatal):
    """Somebody else's source bears our name."""

    sentence = "In Zoomdata at {url} there is another source {name!r}: {reason}."
    hint = "Rename or delete it, or choose another --alias."


class NotSwitched(Fatal):
    """It answered that it would, and did not; or it has no such interface."""

    sentence = "Zoomdata at {url} does not switch by REST: {reason}."
    hint = "Put into zoomdata.properties: {lines}; then restart it."
