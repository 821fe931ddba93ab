"""Least-privilege roles, from `mappings/roles.json`: the bodies of `PUT _security/role/NAME`, for this alias.

None of the privileges of writer, replayer and reader can be left out, nor is one missing: with any one taken away
something of what the role is for fails (measured on 7.17.28, 8.19.16 and 9.1.5; those of setup on 9.1.5, but for `manage_ilm`,
which servers with lifecycle management ask for). Lifecycle management acts with the rights of who last put the policy
(Elasticsearch guide, "ILM: security and permissions"), which is why the role for setting up may `manage` the indices. The
role for Zoomdata is what the documentation of its connector asks for.
"""

from urllib.parse import quote

import orjson

from indexer.elastic.cluster import Cluster
from indexer.errors import Fatal
from indexer.setup.compare import lacking
from indexer.setup.plan import OURS, Body, Call, text_of
from indexer.setup.requests import send
from indexer.setup.templates import Foreign, Outcome, Result

WRITER = "-writer"
"""The end of the name of the role that `indexer run` needs."""


class NoSecurity(Fatal):
    """There is nothing that could hold a role."""

    sentence = "Elasticsearch at {url} has its security switched off, and knows no roles."
    hint = "Switch it on (xpack.security.enabled), or give the roles to what stands in front of it."


def roles(alias: str) -> dict[str, Body]:
    """Each role's body, by its name."""
    bodies: dict[str, Body] = orjson.loads(text_of("roles", alias))
    return bodies


def calls(alias: str) -> list[Call]:
    """The requests that install them."""
    return [
        Call("PUT", f"/_security/role/{quote(name, safe='')}", body) for name, body in roles(alias).items()
    ]


def install(cluster: Cluster, *, force: bool = False) -> list[Outcome]:
    """Create the roles, or bring them up to date; needs the cluster privilege `manage_security`.

    Raises Foreign for a role of such a name that somebody else has made (unless `force`), before anything is sent;
    NoSecurity, and what the client raises.
    """
    wanted = roles(cluster.alias)
    held = _held(cluster, list(wanted))
    for name, body in held.items():
        if not force and body.get("metadata", {}).get("managed_by") != OURS:
            raise Foreign(what=f"role {name}", url=cluster.url)
    outcomes = []
    for (name, body), call in zip(wanted.items(), calls(cluster.alias), strict=True):
        changes = lacking(held[name], body) if name in held else ()
        if name in held and not changes:
            outcomes.append(Outcome(f"role {name}", Result.UNCHANGED))
            continue
        send(cluster.client, call)
        result = Result.UPDATED if name in held else Result.CREATED
        outcomes.append(Outcome(f"role {name}", result, changes=changes))
    return outcomes


def _held(cluster: Cluster, names: list[str]) -> dict[str, Body]:
    answer = cluster.client.options(ignore_status=[400, 404, 405]).security.get_role(name=names)
    if "error" in answer:  # no such path; without such a role a 404 is empty (measured)
        raise NoSecurity(url=cluster.url)
    return {name: body for name, body in answer.items() if name in names}
