"""What the server holds under the name of a request, and sending a call."""

from elasticsearch import Elasticsearch

from indexer.setup.plan import Body, Call, Kind, Request


def fetch(client: Elasticsearch, request: Request) -> Body | None:
    """What the server holds under the request's very name, whatever else it answers; None if nothing."""
    client = client.options(ignore_status=404)
    name = request.name
    match request.kind:
        case Kind.POLICY:
            found = client.ilm.get_lifecycle(name=name).body
        case Kind.COMPONENT:
            answer = client.cluster.get_component_template(name=name)
            found = {it["name"]: it["component_template"] for it in answer.get("component_templates", [])}
        case Kind.TEMPLATE:
            answer = client.indices.get_index_template(name=name)
            found = {it["name"]: it["index_template"] for it in answer.get("index_templates", [])}
        case Kind.INDEX:
            found = {name: {}} if client.indices.exists(index=name) else {}
    body: Body | None = found.get(name)
    return body


def send(client: Elasticsearch, call: Call) -> None:
    """Send a request that changes something. Raises what the client raises."""
    headers = {"accept": "application/json", "content-type": "application/json"}
    client.perform_request(call.method, call.path, headers=headers, body=call.body)
