"""The examples of docs/reference/api.md that are answered from topics, sent to a panel."""

import orjson

from support.api_examples import OF_KAFKA, comparable, examples, hook_of_the_page
from support.dead_letters import exhausted, write_dead_letters
from support.panel import Client, running_panel, token_entries
from support.workspace import Workspace

EVENTS = (
    {"id": "e1", "user": {"id": "u42"}, "data": {"event_key": "purchase", "price": 1200}},
    {"id": "e2", "user": {"id": "u42"}, "data": {"event_key": "purchase", "price": 900}},
    {"id": "e3", "data": {"event_key": "purchase", "price": 1500}},
)
"""One that fires, one that a condition stops, and one without the user that a value is of."""


async def test_the_examples_of_the_page_are_what_a_panel_answers_from_topics(
    workspace: Workspace,
) -> None:
    """A person who copies the page's request to try a definition on recent events, or to replay
    dead letters, gets the answer that stands below it.
    """
    await workspace.create_topics(partitions=1)
    workspace.write_settings(panel={"port": 0, "tokens": token_entries()})
    await workspace.create_own_topics()
    workspace.write_hooks(orjson.loads(hook_of_the_page()))
    await workspace.cluster.produce(workspace.topic("event"), map(orjson.dumps, EVENTS))
    letters = exhausted(range(2), "orders")
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, letters)
    wanted = [one for one in examples() if one.path in OF_KAFKA]
    assert {one.path for one in wanted} == set(OF_KAFKA)
    async with running_panel(workspace.config) as panel:
        for example in wanted:
            reply = await Client(panel.url)("POST", example.path, orjson.loads(example.request))
            assert reply.status == example.status, reply.body
            assert comparable(reply.body.decode()) == comparable(example.answer)
