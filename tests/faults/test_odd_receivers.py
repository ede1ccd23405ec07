"""Receivers that answer in every wrong way: each costs its own deliveries time, and no more."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

import pytest

from support.cluster import Placed
from support.daemon import Daemon
from support.receiver import Receiver, Reply, Then, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

EVENTS = ("e1", "e2")
BAD = 2
"""How often each delivery is answered wrongly, before the receiver comes to its senses."""
_OK = b"HTTP/1.1 200 OK\r\n"
_BUSY = b"HTTP/1.1 503 Busy\r\n"
ODD: Mapping[str, tuple[str, Reply]] = {
    "hangs": ("timeout", Reply(then=Then.HANG)),
    "hangs-in-body": ("5xx", Reply(_BUSY + b"Content-Length: 9\r\n\r\nabc", Then.HANG)),
    "drips-headers": ("timeout", Reply(_OK + b"X-Slow: ", Then.DRIP)),
    "drips-body": ("5xx", Reply(_BUSY + b"Content-Length: 60000\r\n\r\n", Then.DRIP)),
    "resets": ("connect", Reply(then=Then.RESET)),
    "closes": ("connect", Reply(then=Then.CLOSE)),
    "closes-in-body": ("5xx", Reply(_BUSY + b"Content-Length: 9\r\n\r\nabc", Then.CLOSE)),
    "garbage": ("connect", Reply(b"\xff\x00 garbage\r\n\r\n", Then.CLOSE)),
    "huge-header": ("connect", Reply(_OK + b"X: " + b"y" * 400_000 + b"\r\n\r\n", Then.CLOSE)),
    "huge-body": ("5xx", response(500, body=bytes(4_000_000))),
}
WILD = {
    "past": "Sun, 06 Nov 1994 08:49:37 GMT",
    "negative": "-5",
    "scientific": "1e9",
    "text": "later, please",
    "empty": "",
}
"""Values of `Retry-After` that ask for no wait (RFC 9110 section 10.2.3)."""


def _badly_at_first(reply: Reply, arrival: Arrival) -> Reply:
    return reply if arrival.attempt <= BAD else response()


async def _settle(workspace: Workspace, daemon: Daemon) -> dict[str, float]:
    """Write the events, wait until all is settled, and give the metrics."""
    await workspace.cluster.produce(workspace.topic("event"), map(event, EVENTS))
    await wait_until(workspace.caught_up, "every delivery to be settled", patience=60)
    return await daemon.samples()


def _attempts(samples: Mapping[str, float], hook_id: str) -> dict[str, float]:
    """Attempts by their status."""
    start = f'hookstream_attempts_total{{hook="{hook_id}",status="'
    return {
        series.removeprefix(start).removesuffix('"}'): value
        for series, value in samples.items()
        if series.startswith(start) and value
    }


async def _deferred(workspace: Workspace, number: int) -> list[Placed]:
    return await workspace.cluster.read(workspace.retry_topics[number])


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_each_recovers_by_itself(workspace: Workspace, transport: str) -> None:
    """Receivers that answer in ten wrong ways each cost their own deliveries time and lose none.

    1. Ten endpoints answer their first requests in ten wrong ways, an eleventh is well. 2. Each
    attempt is cut at its time-out and counted as what it was, by its status once its head is whole;
    the records travel through both retry topics. 3. When the receivers are well, each delivery is
    taken, with the same webhook-id; the healthy one never saw a second attempt.
    """
    await workspace.create_topics()
    workspace.write_settings(delivery={"transport": transport})
    async with AsyncExitStack() as stack:
        conducts: dict[str, ReceiverHarness] = {}
        hooks = []
        for name, (_, reply) in ODD.items():
            conducts[name] = ReceiverHarness(partial(_badly_at_first, reply))
            receiver = await stack.enter_async_context(Receiver(otherwise=conducts[name]))
            hooks.append(hook(name, receiver.origin, timeout="2s"))
        well = ReceiverHarness()
        receiver = await stack.enter_async_context(Receiver(otherwise=well))
        workspace.write_hooks(*hooks, hook("well", receiver.origin))
        daemon = await stack.enter_async_context(Daemon(workspace.config))
        samples = await _settle(workspace, daemon)
        for name, (status, _) in ODD.items():
            bad = BAD * len(EVENTS)
            assert _attempts(samples, name) == {status: bad, "2xx": len(EVENTS)}, name
            assert conducts[name].attempts == dict.fromkeys(ids_of(name, EVENTS), BAD + 1)
        assert well.attempts == dict.fromkeys(ids_of("well", EVENTS), 1)
        assert await daemon.stop() == 0
    assert daemon.complaints == []
    assert await workspace.dead_letters() == []
    for retry_topic, attempts in enumerate(("1", "2")):
        deferred = await _deferred(workspace, retry_topic)
        assert Counter(one.facts["hookstream-hook"] for one in deferred) == dict.fromkeys(ODD, 2)
        assert {one.facts["hookstream-attempts"] for one in deferred} == {attempts}


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_wild_retry_after(workspace: Workspace, transport: str) -> None:
    """A `Retry-After` that cannot be read is ignored, and its delivery takes the first retry topic.

    1. Hooks are answered 429 or 503 once, with a `Retry-After` that is in the past, negative, no
    number, empty. 2. It says nothing, so the delivery goes to the first retry topic. 3. Each is
    delivered with its second attempt.
    """
    replies = {
        f"{name}-{status}": response(status, f"Retry-After: {value}")
        for name, value in WILD.items()
        for status in (429, 503)
    }

    def answer(arrival: Arrival) -> Reply:
        return replies[arrival.hook] if arrival.attempt == 1 else response()

    await workspace.create_topics()
    workspace.write_settings(delivery={"transport": transport})
    conduct = ReceiverHarness(answer)
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(*(hook(name, receiver.origin) for name in replies))
        async with Daemon(workspace.config) as daemon:
            samples = await _settle(workspace, daemon)
            assert await daemon.stop() == 0
    for name in replies:
        status = f"{name[-3]}xx"
        assert _attempts(samples, name) == {status: len(EVENTS), "2xx": len(EVENTS)}
        assert {conduct.attempts[delivery] for delivery in ids_of(name, EVENTS)} == {2}
    assert await workspace.dead_letters() == []
    assert await _deferred(workspace, 1) == []
    soon = {one.facts["hookstream-hook"] for one in await _deferred(workspace, 0)}
    assert soon == replies.keys() - {"scientific-429"}  # read as one second, which is waited for
