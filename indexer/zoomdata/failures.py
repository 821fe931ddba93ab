"""Errors of the Zoomdata commands."""

from indexer.errors import Fatal


class ZoomdataUnreachable(Fatal):
    """No connection, or no answer in time."""

    sentence = "No answer from Zoomdata at {url} ({reason})."
    hint = "Is it running, and is --zoomdata-url (INDEXER_ZOOMDATA_URL) its address?"


class ZoomdataNotSecure(Fatal):
    """The TLS connection is not trusted; nothing was sent."""

    sentence = "No secure connection to Zoomdata at {url}: {reason}."
    hint = "Give the CA certificate with --zoomdata-ca-certs (INDEXER_ZOOMDATA_CA_CERTS)."


class WrongContext(Fatal):
    """No Zoomdata API at this address."""

    sentence = "There is no Zoomdata API at {url}: {reason}."
    hint = "Give --zoomdata-url with the context of its pages in the browser, such as https://host:8443/composer."


class ZoomdataUnauthenticated(Fatal):
    """401."""

    sentence = "Zoomdata at {url} does not accept {user}: {reason}."
    hint = "Check --zoomdata-username and its password; a user who logs in by SAML or through a bundled portal cannot use the API."


class ZoomdataForbids(Fatal):
    """403: a privilege is missing."""

    sentence = "Zoomdata at {url} does not permit {user} to {action}: {reason}."
    hint = "This requires {required}."


class ZoomdataUnexpected(Fatal):
    """Any other status."""

    sentence = "Zoomdata at {url} answers {status} to {request}: {reason}."
    hint = "See the Zoomdata log."


class ZoomdataTooOld(Fatal):
    """A version before API v3."""

    sentence = "Zoomdata at {url} is {version}; this command requires 6.9 or later (API v3)."
    hint = "Upgrade Zoomdata, or connect it by hand: {steps}"


class ConnectorNotEnabled(Fatal):
    """No connector for the server's product is enabled."""

    sentence = "Zoomdata at {url} has no enabled connector for {server} (available: {available})."
    hint = "As supervisor, enable {enable} under Connectors, or start that service."


class ServerTooOld(Fatal):
    """All connectors are for later versions."""

    sentence = "Zoomdata at {url} has no connector for {server}, only {available}."
    hint = "Upgrade the server, or enable an older connector."


class ParametersMissing(Fatal):
    """The connector requires parameters whose values are unknown."""

    sentence = "Zoomdata's connector {connector} requires parameters whose values are unknown: {missing}."
    hint = "Give each with --parameter KEY=VALUE."


class NotConnected(Fatal):
    """Zoomdata's validation of the connection failed."""

    sentence = "Zoomdata cannot connect to {product} at {address} as {user}: {reason}."
    hint = (
        "Zoomdata connects from its own host: give the address as seen from there with --reader-url, and import a private CA "
        "into the truststore of the connector service."
    )


class NothingVisible(Fatal):
    """The connection shows neither the alias nor its indices."""

    sentence = (
        "Through the connection {connection!r}, Zoomdata lists neither the alias {alias!r} nor its indices."
    )
    hint = "Run `indexer template install`, and give the user that Zoomdata connects as the role {alias}-zoomdata (`indexer template roles`)."


class ForeignSource(Fatal):
    """A source of the required name that this indexer did not create."""

    sentence = "Zoomdata at {url} has another source {name!r}: {reason}."
    hint = "Rename or delete it, or choose another --alias."


class NotSwitched(Fatal):
    """The API for activity types is missing, or had no effect."""

    sentence = "Zoomdata at {url} cannot switch activity types by its API: {reason}."
    hint = "Add to zoomdata.properties: {lines}; then restart Zoomdata."
