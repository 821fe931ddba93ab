"""Alerting rules: mappings/kibana/rules.json → rules of the type "Elasticsearch query", which write to the Kibana log.

All parameters are supported by 7.17 to 9.x. In 7.17 this rule type cannot group, so failed log-ins are counted over all users, and
the message lists them.

These rules miss entries that arrive late: each run leaves out hits whose time is not after the newest one that the rule has reported
(`stack_alerts/server/rule_types/es_query/lib/fetch_es_query.ts`, `timestamp`). Newer versions turn that off with
`excludeHitsFromPreviousRun: false`, but then each run reports all entries of its window again. The window is longer than the interval,
so a late entry is found as long as no newer one was reported. ElastAlert 2 remembers each entry that it has reported:
mappings/alerts/README.md.
"""

import hashlib
import uuid
from dataclasses import dataclass

from indexer.dashboards.descriptions import read
from indexer.errors import Fatal
from indexer.kibana.api import Api
from indexer.kibana.saved_objects import Json, Naming, json_text

SERVER_LOG = ".server-log"
PRIVILEGES = "Stack Rules (Management), and 'Read' for Actions and Connectors"
CONNECTOR_PRIVILEGES = "Actions and Connectors (Management)"
IMMUTABLE = ("rule_type_id", "consumer")
"""Fields that an update does not accept (Kibana guide, "Update rule API")."""


class AlertingNotReady(Fatal):
    """Kibana is not configured for rules."""

    sentence = "Kibana at {url} cannot run rules: {reason}. The dashboards are installed."
    hint = "{remedy}, then run the same command again."


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule without its actions."""

    id: str
    """A UUID, which Kibana requires; the same for the same alias and space."""
    name: str
    body: Json
    message: str

    def with_connector(self, connector: str) -> Json:
        """The body, with an action for this connector id."""
        action = {
            "group": "query matched",
            "id": connector,
            "params": {"level": "warn", "message": self.message},
        }
        return self.body | {"actions": [action]}


def rules(naming: Naming, export_rows: int) -> list[Rule]:
    """All rules. `export_rows` is the largest export without an alert, in rows."""
    return [_rule(naming, key, rule, export_rows) for key, rule in read("rules").items()]


def install(api: Api, naming: Naming, export_rows: int) -> list[tuple[str, str]]:
    """Create or update each rule: its name, and `created` or `updated`. Raises Fatal."""
    _require_ready(api)
    connector = _connector(api, naming)
    return [(rule.name, _put(api, rule, connector)) for rule in rules(naming, export_rows)]


def _rule(naming: Naming, key: str, described: Json, export_rows: int) -> Rule:
    name = naming.title(described["name"])
    params = {
        "index": [naming.alias],
        "timeField": "eventDate",
        "esQuery": json_text({"query": described["query"]}).replace('"--export-rows"', str(export_rows)),
        "size": 100,
        "timeWindowSize": int(described["window"][:-1]),
        "timeWindowUnit": described["window"][-1],
        "threshold": [described["threshold"]],
        "thresholdComparator": ">=",
    }
    body = {
        "name": name,
        "rule_type_id": ".es-query",
        "consumer": "stackAlerts",
        "tags": ["zoomdata", naming.alias],
        "schedule": {"interval": "1m"},
        "notify_when": "onActiveAlert",
        "params": params,
    }
    message = name + ": {{context.value}} in " + described["window"]
    message += "{{#context.hits}}\n" + described["each"] + "{{/context.hits}}"
    digest = hashlib.sha256(naming.id("rule", key).encode()).digest()
    return Rule(str(uuid.UUID(bytes=digest[:16], version=4)), name, body, message)


def _require_ready(api: Api) -> None:
    _, health = api.send("GET", "/api/alerting/_health", privileges=PRIVILEGES)
    if not health.get("has_permanent_encryption_key"):
        raise AlertingNotReady(
            url=api.space_url,
            reason="it has no permanent encryption key",
            remedy="Set xpack.encryptedSavedObjects.encryptionKey (32 characters or more) in kibana.yml, restart Kibana",
        )
    if not health.get("is_sufficiently_secure", True):
        raise AlertingNotReady(
            url=api.space_url,
            reason="API keys or TLS are disabled in Elasticsearch",
            remedy="Enable TLS and xpack.security.authc.api_key.enabled in Elasticsearch",
        )


def _connector(api: Api, naming: Naming) -> str:
    """The id of the server log connector, which is created if it does not exist."""
    name = naming.title("server log")
    _, existing = api.send("GET", "/api/actions/connectors", privileges=CONNECTOR_PRIVILEGES)
    for each in existing:
        if each["connector_type_id"] == SERVER_LOG and each["name"] == name:
            return str(each["id"])
    body = {"name": name, "connector_type_id": SERVER_LOG, "config": {}, "secrets": {}}
    _, created = api.send("POST", "/api/actions/connector", body, privileges=CONNECTOR_PRIVILEGES)
    return str(created["id"])


def _put(api: Api, rule: Rule, connector: str) -> str:
    path, body = f"/api/alerting/rule/{rule.id}", rule.with_connector(connector)
    status, _ = api.send("POST", path, body, privileges=PRIVILEGES, allow=(409,))
    if status != 409:
        return "created"
    changes = {name: value for name, value in body.items() if name not in IMMUTABLE}
    api.send("PUT", path, changes, privileges=PRIVILEGES)
    return "updated"
