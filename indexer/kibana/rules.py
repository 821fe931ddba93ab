"""Kibana's own alerts: mappings/kibana/rules.json → rules of the type "Elasticsearch query", which write to Kibana's log.

Only parameters that 7.17 to 9.x all take are used. That rule type cannot group in 7.17, so failed log-ins are counted over
all users, and the message names each. It alerts for an entry only once though its window is longer than its interval
(Kibana guide, "Elasticsearch query", on matches of the same document): an entry that arrives late is still found.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import indexer
from indexer.errors import Fatal
from indexer.kibana.api import Api
from indexer.kibana.saved_objects import Naming
from indexer.setup.plan import directory

Json = dict[str, Any]
SERVER_LOG = ".server-log"
PRIVILEGES = "Stack Rules (Management), and 'Read' for Actions and Connectors"
CONNECTOR_PRIVILEGES = "Actions and Connectors (Management)"
FIXED = ("rule_type_id", "consumer")
"""What an update does not take (Kibana guide, "Update rule API")."""


class AlertingNotReady(Fatal):
    """Kibana cannot keep rules."""

    sentence = "Kibana at {url} cannot run rules: {reason}. The dashboards are installed."
    hint = "{remedy}, then run the same command again."


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, but for what it does when it fires."""

    id: str
    """A UUID, as Kibana takes no other for a rule; always the same for the same alias and space."""
    name: str
    body: Json
    message: str

    def with_connector(self, connector: str) -> Json:
        """Its body, writing to a connector."""
        action = {
            "group": "query matched",
            "id": connector,
            "params": {"level": "warn", "message": self.message},
        }
        return self.body | {"actions": [action]}


def rules(naming: Naming, export_rows: int) -> list[Rule]:
    """All of them. `export_rows` is how many rows an export may have without an alert."""
    text = (directory(Path(indexer.__file__).parent) / "kibana" / "rules.json").read_text("utf-8")
    described: Json = orjson.loads(text.replace('"--export-rows"', str(export_rows)))
    return [_rule(naming, key, rule) for key, rule in described.items()]


def install(api: Api, naming: Naming, export_rows: int) -> list[tuple[str, str]]:
    """Create or update each rule; give its name and what was done. Raises Fatal."""
    _require_ready(api)
    connector = _connector(api, naming)
    return [(rule.name, _put(api, rule, connector)) for rule in rules(naming, export_rows)]


def _rule(naming: Naming, key: str, described: Json) -> Rule:
    name = naming.title(described["name"])
    params = {
        "index": [naming.alias],
        "timeField": "eventDate",
        "esQuery": orjson.dumps({"query": described["query"]}).decode(),
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
            reason="API keys are off in Elasticsearch, or TLS is",
            remedy="Switch on TLS and xpack.security.authc.api_key.enabled in Elasticsearch",
        )


def _connector(api: Api, naming: Naming) -> str:
    """The id of our server-log connector: the one that is there, else a new one."""
    name = naming.title("server log")
    _, there = api.send("GET", "/api/actions/connectors", privileges=CONNECTOR_PRIVILEGES)
    for each in there:
        if each["connector_type_id"] == SERVER_LOG and each["name"] == name:
            return str(each["id"])
    wanted = {"name": name, "connector_type_id": SERVER_LOG, "config": {}, "secrets": {}}
    _, made = api.send("POST", "/api/actions/connector", wanted, privileges=CONNECTOR_PRIVILEGES)
    return str(made["id"])


def _put(api: Api, rule: Rule, connector: str) -> str:
    path, body = f"/api/alerting/rule/{rule.id}", rule.with_connector(connector)
    status, _ = api.send("POST", path, body, privileges=PRIVILEGES, allow=(409,))
    if status != 409:
        return "created"
    changes = {name: value for name, value in body.items() if name not in FIXED}
    api.send("PUT", path, changes, privileges=PRIVILEGES)
    return "updated"
