"""Thousands of awkward events: what is sent is what the contract says, no more and no less."""

import json
from collections import Counter

import pytest
from standardwebhooks import Webhook

from support.cluster import Placed
from support.daemon import InProcess
from support.generate import FOREIGN, Generator, events_by_topic
from support.oracle import expect
from support.received import parse, sent
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # gitleaks:allow
TOTAL = 4_000


def _generate(workspace: Workspace, origin: str, generator: Generator) -> dict[str, list[bytes]]:
    """Hooks of every kind, sources of both shapes, and the events for them."""
    foreign = workspace.topic("foreign")
    workspace.sources[foreign] = {"topic": foreign, "trigger": "push_click", "fields": FOREIGN}
    hooks = generator.hooks(origin, each=8)
    for hook in hooks[::5]:
        hook["signing_secrets"] = [SECRET]
    for hook in hooks[2::4]:
        hook["order"] = "user"
    workspace.write_hooks(*hooks)
    return events_by_topic(generator, workspace.sources, TOTAL)


@pytest.mark.parametrize(("transport", "seed"), [("curl", 20_261_124), ("aiohttp", 7)])
async def test_requests_and_rejects_equal_the_oracle(
    workspace: Workspace, transport: str, seed: int
) -> None:
    """Requests and dead letters of thousands of awkward events are exactly those that an
    independent oracle expects.

    1. Thousands of awkward events are written, hooks of every kind wait. 2. Every request is one of
    the oracle's, each came once, and its signature verifies. 3. The dead letters are the oracle's
    rejects. 4. The committed offsets reach the end. 5. A restart sends nothing again.
    """
    await workspace.create_topics()
    async with Receiver() as receiver:
        events = _generate(workspace, receiver.origin, Generator(seed))
        workspace.write_settings(delivery={"transport": transport})
        await workspace.cluster.create([workspace.topic("foreign")])
        records = [
            record
            for topic, values in events.items()
            for record in await workspace.cluster.produce(topic, values)
        ]
        expected = expect(workspace.hooks, workspace.sources, records)
        async with InProcess(workspace.config):
            await wait_until(workspace.caught_up, "the offsets to reach the end")
        assert sent(receiver.requests) == expected.requests
        _check_deliveries(receiver.requests)
        assert _rejects(await workspace.dead_letters()) == expected.rejects
        before = len(receiver.requests)
        async with InProcess(workspace.config):
            [marker] = await workspace.cluster.produce(workspace.topic("event"), [b"marker"])
            await wait_until(workspace.caught_up, "the offsets to reach the end again")
        assert len(receiver.requests) == before
        again = _rejects(await workspace.dead_letters()) - expected.rejects
        assert again == {(marker.source, ""): 1}
    assert expected.requests.total() > TOTAL
    assert expected.rejects.total() > 100


def _check_deliveries(heads: list[bytes]) -> None:
    """Ids are distinct and without a dot; signatures verify with the standard's library."""
    signed = 0
    requests = [parse(head) for head in heads]
    assert len({request.webhook_id for request in requests}) == len(requests)
    for request in requests:
        assert request.method == "GET"
        assert "." not in request.webhook_id
        if "webhook-signature" in request.headers:
            Webhook(SECRET).verify(json.dumps(request.target), request.headers)
            signed += 1
    assert signed > 100


def _rejects(dead_letters: list[Placed]) -> Counter[tuple[str, str]]:
    return Counter(
        (dead_letter.facts["hookstream-source"], dead_letter.facts.get("hookstream-hook", ""))
        for dead_letter in dead_letters
    )
