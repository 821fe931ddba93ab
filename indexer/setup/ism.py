"""OpenSearch's Index State Management (ISM, the plugin index-management): requests that are offered, and never sent.

They were never run against the plugin: its part of them is by its source (branches 2.11 and 2.17) and documentation. It adds a
policy to indices that are created later (`ism_template`); existing ones have to be given to it. Each index names the alias
that is rolled over in a setting, which a server without the plugin refuses. So that setting is no part of the plan: the
admin's own component template has it, which `install` leaves alone.
"""

from urllib.parse import quote

import orjson

from indexer.elastic.server import Server
from indexer.settings import FOREVER, Connection, Indices
from indexer.setup.plan import CUSTOM, Body, Call, Kind, Request, offered, plan, text_of

NOTE = (
    "Offered, not sent by `install`: a policy for OpenSearch's plugin index-management, checked against the plugin's source "
    "but never run with it. It takes the place of `indexer run --rollover` and `indexer template rollover`."
)


def offer(server: Server, connection: Connection, indices: Indices) -> list[Call]:
    """The requests to send by hand, in order, to a server with the plugin; none if it has none, or its work is not wanted.

    Without the plugin the server refuses each of them (measured on 2.19.6). An admin's own component template is not replaced.
    """
    if not offered(server, indices):
        return []
    alias, settings = connection.alias, _read("ism-settings", connection.alias)
    requests = plan(server, connection, indices, custom=True)
    template = next(it for it in requests if (it.kind, it.name) == (Kind.TEMPLATE, alias))
    existing = f"{quote(alias)}-0*"
    return [
        Call("PUT", f"/_plugins/_ism/policies/{quote(alias)}", policy(alias, indices)),
        Call("PUT", Request(Kind.COMPONENT, alias + CUSTOM, {}).path + "?create=true", settings),
        template.call,
        Call("PUT", f"/{existing}/_settings", settings["template"]["settings"]),
        Call("POST", f"/_plugins/_ism/add/{existing}", {"policy_id": alias}),
    ]


def policy(alias: str, indices: Indices) -> Body:
    """The policy of these options: what `lifecycle.json` and `warm.json` are to Elasticsearch."""
    body = _read("ism", alias)
    hot, delete = body["policy"]["states"]
    rollover = next(it["rollover"] for it in hot["actions"] if "rollover" in it)
    rollover |= {"min_index_age": indices.rollover_age, "min_primary_shard_size": indices.rollover_size}
    later: list[tuple[Body, str]] = []
    if indices.warm_after is not None:
        later += [(_read("ism-warm", alias), indices.warm_after)]
    if indices.retain != FOREVER:
        later += [(delete, indices.retain)]
    states = [hot | {"transitions": []}]
    for state, age in later:
        states[-1]["transitions"] = [{"state_name": state["name"], "conditions": {"min_rollover_age": age}}]
        states += [state | {"transitions": []}]
    body["policy"]["states"] = states
    return body


def _read(file: str, alias: str) -> Body:
    body: Body = orjson.loads(text_of(file, alias))
    return body
