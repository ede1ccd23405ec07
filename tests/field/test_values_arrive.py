"""Values of events and definitions, as a receiver gets their bytes."""

from support.daemon import Daemon
from support.received import parse
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace

LONG = "123456789012345678901"
LONGER = "-" + "98765432109876543210" * 20


def strict(head: bytes) -> Reply:
    """A receiver that answers 400 to bytes above 127, as some proxies and frameworks do."""
    return response(200 if head.isascii() else 400)


async def test_an_integer_arrives_with_the_digits_that_the_event_has(workspace: Workspace) -> None:
    """An integer of any length arrives with its digits in a parameter, a header, a URI variable,
    the user's and the event's id, an array, an object, composed values, a topic of another shape,
    and a fixed value of the definition.
    """
    clicks = workspace.topic("push_click")
    workspace.sources[clicks]["fields"] = {"user_id": "customer.number"}
    await workspace.create_topics()
    workspace.write_settings()
    definition = {
        "id": "a",
        "uri_parameters": {"composed": {"label": "Composed", "default": "none"}},
        "headers": [
            {"key": "X-Item", "source": "event", "value": "data.item"},
            {"key": "X-Fixed", "source": "fixed", "value": int(LONG)},
        ],
        "parameters": [
            {"key": "user", "source": "profile", "value": "id"},
            {"key": "event", "source": "event", "value": "id"},
            {"key": "list", "source": "event", "value": "data.list"},
            {"key": "object", "source": "event", "value": "data.object"},
        ],
    }
    data = (
        f'"data": {{"item": {LONG}, "list": [1, {LONG}, {LONGER}], '
        f'"object": {{"n": {LONG}, "text": "{LONG}", "price": 19.90}}, "far": 1e400}}'
    )
    value = f'{{"id": {LONG}, "user": {{"id": {LONG}}}, {data}}}'
    click = (
        f'{{"id": {LONGER}, "customer": {{"number": {LONG}}}, {data}, '
        f'"notification": {{"hooks": {{"b": {{"composed": {LONG}}}}}}}}}'
    )
    async with Receiver() as receiver:
        path = f"{receiver.origin}/{{composed}}"
        workspace.write_hooks(
            {**definition, "trigger": "event", "uri": path},
            {**definition, "id": "b", "trigger": "push_click", "uri": path},
        )
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), [value.encode()])
            await workspace.cluster.produce(clicks, [click.encode()])
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
        found = {request.webhook_id: request for request in map(parse, receiver.requests)}
    assert await workspace.dead_letters() == []
    lists = f"list=1%2C{LONG}%2C{LONGER}"
    objects = f"object=%7B%22n%22%3A{LONG}%2C%22text%22%3A%22{LONG}%22%2C%22price%22%3A19.9%7D"
    first = found[f"{LONG}:a"]
    assert first.target == f"/none?user={LONG}&event={LONG}&{lists}&{objects}"
    assert (first.headers["x-item"], first.headers["x-fixed"]) == (LONG, LONG)
    [second] = [request for name, request in found.items() if name.endswith(":b")]
    assert second.target == f"/{LONG}?user={LONG}&event={LONGER}&{lists}&{objects}"


async def test_a_header_may_ask_for_percent_encoding(workspace: Workspace) -> None:
    """A receiver that answers 400 to bytes above 127 takes `İzmir` in a header with `encode:
    percent`, as `%C4%B0zmir`; a fixed value too.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=strict) as receiver:
        workspace.write_hooks(
            {
                "id": "a",
                "trigger": "event",
                "uri": f"{receiver.origin}/h/a",
                "headers": [
                    {"key": "X-City", "source": "event", "value": "data.city", "encode": "percent"},
                    {"key": "X-Shop", "source": "fixed", "value": "Köy 1", "encode": "percent"},
                ],
            }
        )
        async with Daemon(workspace.config) as daemon:
            value = '{"id": "e1", "data": {"city": "İzmir"}}'.encode()
            await workspace.cluster.produce(workspace.topic("event"), [value])
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
        [request] = map(parse, receiver.requests)
    assert await workspace.dead_letters() == []
    assert request.headers["x-city"] == "%C4%B0zmir"
    assert request.headers["x-shop"] == "K%C3%B6y%201"
