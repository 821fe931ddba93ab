"""Least-privilege roles, as each product's security has them, for this alias: the bodies of `PUT PATH/NAME`.

The privileges of writer, replayer and reader are minimal: without any one of them, something that the role is for fails
(measured on 7.17.28, 8.19.16 and 9.1.5; those of setup on 9.1.5, except `manage_ilm`, which servers with lifecycle
management require). Lifecycle management acts with the privileges of the user who last put the policy (Elasticsearch guide,
"ILM: security and permissions"), so the setup role has `manage` on the indices. The role for Zoomdata is the one that the
documentation of its connector requires.

Those for OpenSearch's security plugin are minimal too (each of the four, measured on 2.11.1 by leaving out one action, or one
pattern of setup, at a time). What differs, as measured there:

- A pattern that is an alias stands for the indices behind it, whole: a filtered alias limits nothing. The names of the
  indices stand beside it, so that one that retention has deleted is missing, not forbidden.
- Nothing is narrower than `indices:data/write/index`, which may overwrite a document; new fields need `mapping/put`.
- The plugin does not know which index a rollover is about, and requires `indices:admin/rollover` on all. The rollover of an
  alias needs `indices:monitor/stats` too, which setup has on these indices alone.
- Some actions are looked up on the shard again (`bulk[s]`, `mget[shard]`, `refresh[s]`).
- Misspelt actions are accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from indexer.elastic.cluster import Cluster
from indexer.elastic.security import ABSENT, INTERFACES
from indexer.elastic.server import Product
from indexer.errors import Fatal
from indexer.setup.compare import lacking
from indexer.setup.plan import OURS, Body, Call, text_of
from indexer.setup.requests import send
from indexer.setup.templates import Foreign, Outcome, Result

WRITER = "-writer"
"""The suffix of the role that `indexer run` needs."""


class NoSecurity(Fatal):
    """A server without security has no roles."""

    sentence = "Security is off on {product} at {url}: there are no roles."
    hint = "Enable it ({enable}), or restrict access in the proxy in front of it."


@dataclass(frozen=True, slots=True)
class Form:
    """How roles of a product are written down."""

    file: str
    """Of mappings/."""
    ours: Callable[[Body], bool]
    """Whether a role that the server holds has our mark."""


FORMS = {
    Product.ELASTICSEARCH: Form(
        "roles", lambda body: bool(body.get("metadata", {}).get("managed_by") == OURS)
    ),
    # A role has no metadata there.
    Product.OPENSEARCH: Form(
        "roles-opensearch", lambda body: str(body.get("description")).startswith(f"Managed by {OURS}:")
    ),
}


def roles(alias: str, product: Product = Product.ELASTICSEARCH) -> dict[str, Body]:
    """Each role's body, by its name."""
    bodies: dict[str, Body] = orjson.loads(text_of(FORMS[product].file, alias))
    return bodies


def calls(alias: str, product: Product = Product.ELASTICSEARCH) -> list[Call]:
    """The requests that install them."""
    return [Call("PUT", _path(product, name), body) for name, body in roles(alias, product).items()]


def install(cluster: Cluster, *, force: bool = False) -> list[Outcome]:
    """Create or update the roles; needs the cluster privilege `manage_security`, or access to the plugin's REST API.

    Raises, before anything is sent, Foreign for a role that this program has not installed (unless `force`); NoSecurity, and
    what the client raises.
    """
    product = cluster.product
    wanted = roles(cluster.alias, product)
    held = {name: body for name in wanted if (body := _held(cluster, name)) is not None}
    for name, body in held.items():
        if not force and not FORMS[product].ours(body):
            raise Foreign(what=f"role {name}", url=cluster.url)
    outcomes = []
    for (name, body), call in zip(wanted.items(), calls(cluster.alias, product), strict=True):
        changes = lacking(held[name], body) if name in held else ()
        if name in held and not changes:
            outcomes.append(Outcome(f"role {name}", Result.UNCHANGED))
            continue
        send(cluster.client, call)
        result = Result.UPDATED if name in held else Result.CREATED
        outcomes.append(Outcome(f"role {name}", result, changes=changes))
    return outcomes


def _path(product: Product, name: str) -> str:
    return INTERFACES[product].roles + quote(name, safe="")


def _held(cluster: Cluster, name: str) -> Body | None:
    """The role of this name; None if there is none. OpenSearch 2.11.1 takes several names for one (measured)."""
    product, lenient = cluster.product, cluster.client.options(ignore_status=ABSENT)
    answer = lenient.perform_request("GET", _path(product, name), headers={"accept": "application/json"}).body
    if "error" in answer:
        # No such path. If only the role is missing, the 404 has no `error` (measured on both products).
        raise NoSecurity(product=product, url=cluster.url, enable=INTERFACES[product].enable)
    body: Body | None = answer.get(name)
    return body
