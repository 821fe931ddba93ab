"""The connection to the index in Zoomdata: its connector, its body, validating and saving it."""

from collections.abc import Mapping

from indexer.elastic.server import Product, Server
from indexer.zoomdata import sources
from indexer.zoomdata.api import PLACEHOLDER_ID, Api
from indexer.zoomdata.connectors import (
    Access,
    Connector,
    Json,
    best_connector,
    connectors_for,
    fill_parameters,
    without,
)
from indexer.zoomdata.failures import ConnectorNotEnabled, NotConnected, ParametersMissing, ServerTooOld

ACTION = "read or change connections"
ENABLE = {
    Product.ELASTICSEARCH: "an Elasticsearch connector (its service: zoomdata-edc-elasticsearch-…)",
    Product.OPENSEARCH: "the OpenSearch connector of Composer 25.2 and later (its service: zoomdata-edc-opensearch, port 8134)",
}
"""What to enable for each product (documentation, "Data Connector Reference")."""


def find_connection(api: Api, name: str) -> str | None:
    """The id of the connection of this name."""
    # Whether `name=` matches exact names only is not documented.
    found = api.get_list("/connections", ACTION, name=name)
    return next((str(it["id"]) for it in found if it.get("name") == name), None)


def choose_connector(api: Api, server: Server) -> Connector:
    """The enabled connector for this server: one for another product is never taken. Raises ConnectorNotEnabled, ServerTooOld."""
    enabled = connectors_for(server.product, api.get_list("/connection/types", ACTION, enabled="true"))
    if not enabled:
        disabled = connectors_for(server.product, api.get_list("/connection/types", ACTION))
        available = ", ".join(it.name for it in disabled) or "none"
        enable = ENABLE[server.product]
        raise ConnectorNotEnabled(url=api.url, server=server, available=available, enable=enable)
    chosen = best_connector(enabled, server.version)
    if chosen is None:
        raise ServerTooOld(url=api.url, server=server, available="; ".join(map(str, enabled)))
    return chosen


def connection_body(connector: Connector, access: Access, given: Mapping[str, str], alias: str) -> Json:
    """The body of the connection; `given` are parameters by key. Raises ParametersMissing, WrongUsage."""
    parameters, missing = fill_parameters(connector, access, given)
    if missing:
        raise ParametersMissing(connector=connector.name, missing=", ".join(map(str, missing)))
    return {
        "name": sources.connection_name(alias),
        "type": connector.type,
        "connectionTypeId": connector.id,
        "subStorageType": connector.storage,
        "allParameters": parameters,
    }


def save(api: Api, body: Json, access: Access, product: Product, notes: list[str]) -> tuple[str, str]:
    """Validate, then create or update the connection: its id, and `created`, `updated` or `planned`. Raises NotConnected."""
    found = find_connection(api, body["name"])
    if api.dry:
        api.change("POST", "/connections/validate", body, ACTION)
    else:
        _validate(api, body, access, product, notes)
    if found is None:
        created = api.change("POST", "/connections", body, ACTION).body
        return str(created["id"]), "planned" if api.dry else "created"
    api.change("PUT", f"/connections/{found}", body, ACTION)
    return found, "planned" if api.dry else "updated"


def _validate(api: Api, body: Json, access: Access, product: Product, notes: list[str]) -> None:
    answer = api.query("/connections/validate", body, ACTION) or {}
    message = str(answer.get("message") or answer.get("warning") or "").strip().rstrip(".")
    message = without(message, access.password)
    if not answer.get("connected"):
        user = f"user {access.user!r}" if access.user else "no user"
        raise NotConnected(
            product=product, address=access.address, user=user, reason=message or "no reason given"
        )
    if answer.get("warning"):
        notes.append(f"Zoomdata warns about the connection: {message}")


def visible_names(api: Api, connection_id: str) -> list[str] | None:
    """The aliases and indices that Zoomdata lists; None if the connection is only planned."""
    if connection_id == PLACEHOLDER_ID:
        return None
    return [str(it.get("name")) for it in api.get_list(f"/connections/{connection_id}/objects", ACTION)]
