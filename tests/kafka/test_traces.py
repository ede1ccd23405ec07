"""Traces on a real broker, as a collector gets them by OTLP."""

import asyncio
import signal
from contextlib import suppress

from support.collector import CollectedSpan, Collector
from support.command import run_command
from support.daemon import Daemon
from support.received import ids
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "0af7651916cd43dd8448eb211c80319c"


async def _produce(workspace: Workspace, event_id: str, traceparent: str | None) -> None:
    headers = [("traceparent", traceparent.encode())] if traceparent else []
    async with workspace.cluster.producer() as producer:
        value = event(event_id, text="canary-value")
        await producer.send_and_wait(
            workspace.topic("event"), value, headers=[*headers, ("tracestate", b"vendor=1")]
        )


def _chain(collector: Collector, span: CollectedSpan) -> list[str]:
    """The names from `span` up to the first span of the daemon."""
    names = [span.name]
    while parent := collector.parent(span):
        names.append(parent.name)
        span = parent
    return names


async def test_one_trace_from_the_producer_to_the_last_attempt(workspace: Workspace) -> None:
    """A sampled event is one trace of the producer's, with the conventions' attributes, through two
    retry topics to its last attempt. Nothing is exported of an event that the
    producer did not sample, no value is, and the receiver is sent no trace header.

    1. The receiver answers 503 twice, then 200. 2. The delivery waits in the first and the second
    retry topic. 3. A stop exports what is left.
    """
    await workspace.create_topics()
    retry, second = workspace.retry_topics
    replies = [response(503), response(503)]
    async with Collector() as collector, Receiver(*replies) as receiver:
        origin = receiver.origin
        workspace.write_settings(tracing={"endpoint": collector.endpoint})
        workspace.write_hooks(
            hook("a", receiver.origin, "?key=canary-key", parameters=[
                {"key": "text", "source": "event", "value": "data.text"}
            ])
        )  # fmt: skip
        async with Daemon(workspace.config) as daemon:
            await _produce(workspace, "traced", f"00-{TRACE}-{PARENT}-01")
            await receiver.until(requests=3)
            await _produce(workspace, "other", f"00-{OTHER}-{PARENT}-00")
            await receiver.until(requests=4)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
            assert daemon.complaints == []
        assert ids(receiver.requests) == {"traced:a": 3, "other:a": 1}
        assert not any(b"traceparent" in head.lower() for head in receiver.requests)
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert {span.tracestate for span in collector.spans} == {"vendor=1"}
    body = b"".join(collector.bodies)
    assert b"canary" not in body
    event_topic = workspace.topic("event")
    first, *_, last = requests = collector.named("GET")
    assert [span.attributes.get("http.response.status_code") for span in requests] == [
        503,
        503,
        200,
    ]
    assert [span.failed for span in requests] == [True, True, False]
    assert first.attributes["http.request.resend_count"] == 0
    assert all(span.kind == "CLIENT" and span.seconds > 0 for span in requests)
    assert _chain(collector, last) == [
        "GET", f"process {second}", f"send {second}", f"process {retry}", f"send {retry}",
        f"process {event_topic}",
    ]  # fmt: skip
    assert _chain(collector, first) == ["GET", f"process {event_topic}"]
    [root] = collector.named(f"process {event_topic}")
    assert (root.kind, root.parent_id) == ("CONSUMER", PARENT)
    assert root.attributes["messaging.consumer.group.name"] == workspace.group
    assert root.attributes["messaging.destination.name"] == event_topic
    assert root.resource["service.name"] == "hookstream"
    [send] = collector.named(f"send {retry}")
    assert send.kind == "PRODUCER"
    assert send.seconds > 0
    assert first.attributes["url.template"] == "/h/a"
    assert first.attributes["url.full"] == (f"{origin}/h/a?key=REDACTED&text=REDACTED")


async def test_overflow_a_dead_letter_and_its_replay_stay_in_one_trace(
    workspace: Workspace,
) -> None:
    """A delivery that waits in the overflow topic, becomes a dead letter and is replayed stays in
    the trace of its event: each span is a child of the one that brought the record there.

    1. The receiver asks for a pause: the delivery overflows. 2. A reload ends the pause, and the
    answer is 404. 3. A person replays the dead letter, and the answer is 200.
    """
    await workspace.create_topics()
    retry, source = workspace.retry_topics[0], workspace.topic("event")
    overflow, dead = workspace.overflow_topic, workspace.dead_letter_topic
    replies = [response(429, "Retry-After: 60"), response(404)]
    async with Collector() as collector, Receiver(*replies) as receiver:
        workspace.write_settings(tracing={"endpoint": collector.endpoint})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _produce(workspace, "traced", f"00-{TRACE}-{PARENT}-01")
            overflowed = 'hookstream_deliveries_total{hook="a",outcome="overflowed"}'

            async def waits() -> bool:
                return await daemon.sample(overflowed) == 1

            await wait_until(waits, "the delivery to overflow")
            workspace.write_hooks(hook("a", receiver.origin, "?changed=1"))
            daemon.signal(signal.SIGHUP)
            await receiver.until(requests=2)
            await wait_until(workspace.dead_letters, "the dead letter")
            config = ("--config", str(workspace.config))
            replay = ("dead-letters", "replay", "--yes", *config)
            done = await asyncio.to_thread(run_command, *replay, folder=workspace.folder)
            assert done.returncode == 0, done.stderr
            await receiver.until(requests=3)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
        assert ids(receiver.requests) == {"traced:a": 3}
    assert {span.trace_id for span in collector.spans} == {TRACE}
    *_, last = collector.named("GET")
    assert _chain(collector, last) == [
        "GET", f"process {retry}", f"send {dead}", f"process {overflow}", f"send {overflow}",
        f"process {source}",
    ]  # fmt: skip
    [root] = collector.named(f"process {source}")
    assert root.parent_id == PARENT
    [sent] = collector.named(f"send {dead}")
    assert sent.attributes["hookstream.reason"] == "permanent"


async def test_a_collector_that_hangs_holds_up_nothing(workspace: Workspace) -> None:
    """While the collector takes connections and never answers, every event is delivered and
    committed, and a stop is in time: what was not exported is counted and told.
    """
    await workspace.create_topics()
    hanging = await asyncio.start_server(_hang, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with hanging, Receiver() as receiver:
        workspace.write_settings(
            tracing={"endpoint": f"http://127.0.0.1:{port}", "sample": 1.0},
            delivery={"shutdown_grace": "10s"},
        )
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            names = [f"e{number}" for number in range(200)]
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await receiver.until(requests=200)
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
            [dropped] = daemon.said("spans were dropped")
            assert dropped["dropped"] == 400


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass
    writer.close()
