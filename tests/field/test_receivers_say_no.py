"""Receivers that answer 410, 4xx or `Retry-After`: what each answer costs, and what it does not."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from consumer.delivery.scheduling.circuit import CircuitPolicy
from support.daemon import Daemon
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

VOLUME = CircuitPolicy().min_volume
DISABLED = 'hookstream_hook_disabled{hook="a"}'
DELIVERED = 'hookstream_deliveries_total{hook="a",outcome="delivered"}'
OVERFLOWED = 'hookstream_deliveries_total{hook="a",outcome="overflowed"}'
PERMANENT = 'hookstream_dead_letters_total{hook="a",reason="permanent"}'
PAUSED = 'hookstream_paused_until_timestamp_seconds{hook="a"}'


async def write(workspace: Workspace, ids: list[str]) -> None:
    """Events of the trigger `event`."""
    await workspace.cluster.produce(workspace.topic("event"), map(event, ids))


async def reasons(workspace: Workspace) -> Counter[str]:
    """How many dead letters there are for each reason."""
    dead_letters = await workspace.dead_letters()
    return Counter(dead_letter.facts["hookstream-reason"] for dead_letter in dead_letters)


async def test_a_410_for_one_value_of_a_uri_variable_costs_that_delivery_only(
    workspace: Workspace,
) -> None:
    """Of fifty deliveries to `/status/{message}` one is answered 410: that one is a dead letter
    `permanent`, the 49 others are delivered, and no hook is disabled, not even by ten in a row.
    """
    gone = {"m1", *(f"m{number}" for number in range(40, 50))}

    def answer(arrival: Arrival) -> Reply:
        return response(410 if arrival.delivery.partition(":")[0] in gone else 200)

    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=ReceiverHarness(answer)) as receiver:
        workspace.write_hooks(
            hook(
                "a",
                receiver.origin,
                "/status/{message}",
                uri_parameters={"message": {"label": "Message"}},
                parameters=[{"key": "message", "source": "event", "value": "id"}],
            )
        )
        async with Daemon(workspace.config) as daemon:
            await write(workspace, [f"m{number}" for number in range(50)])
            await wait_until(workspace.caught_up, "all to be settled")
            samples = await daemon.samples()
            assert await daemon.stop() == 0
    assert await reasons(workspace) == {"permanent": len(gone)}
    assert samples[DELIVERED] == 50 - len(gone)
    assert samples[DISABLED] == 0


async def test_a_hook_that_410_disabled_shows_in_a_gauge_until_a_reload(
    workspace: Workspace,
) -> None:
    """Five 410 in a row disable a hook without URI variables: the gauge is 1, one line says so, and
    what comes then is a dead letter `disabled` without a request. After a reload deliveries are
    made.
    """
    status = 410
    conduct = ReceiverHarness(lambda _arrival: response(status))
    await workspace.create_topics()
    workspace.write_settings(delivery={"per_hook_concurrency": 1})
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await write(workspace, [f"e{number}" for number in range(8)])
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.sample(DISABLED) == 1
            assert len(conduct.arrivals) == 5
            [line] = [line for line in daemon.logs if "hook disabled until" in line["event"]]
            assert line["hook"] == "a"
            status = 200
            daemon.signal(signal.SIGHUP)

            async def enabled() -> bool:
                return await daemon.sample(DISABLED) == 0

            await wait_until(enabled, "the reload")
            await write(workspace, ["late"])
            await wait_until(lambda: conduct.attempts["late:a"], "a delivery")
            assert await daemon.stop() == 0
    assert await reasons(workspace) == {"permanent": 5, "disabled": 3}


async def test_a_receiver_that_rejects_what_it_took_before_loses_less_than_the_circuits_volume(
    workspace: Workspace,
) -> None:
    """A hook had 2xx a moment ago and now gets only 404: fewer of its deliveries than the circuit's
    volume are dead letters, the others overflow, and are delivered when the receiver answers 2xx.
    """
    broken = False
    conduct = ReceiverHarness(lambda _arrival: response(404 if broken else 200))
    good, bad = [f"g{number}" for number in range(30)], [f"b{number}" for number in range(200)]
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await write(workspace, good)
            await wait_until(lambda: conduct.reached(ids_of("a", good)), "the 2xx")
            broken = True
            await write(workspace, bad)

            async def deferred() -> bool:
                samples = await daemon.samples()
                return samples[OVERFLOWED] + samples[PERMANENT] >= len(bad)

            await wait_until(deferred, "all to be deferred, or to be dead letters")
            rejected = await daemon.sample(PERMANENT)
            assert rejected < VOLUME
            broken = False
            await wait_until(workspace.caught_up, "all to be settled")
            samples = await daemon.samples()
            assert await daemon.stop() == 0
        [line] = [line for line in daemon.logs if "rejects everything" in line["event"]]
        assert (line["hook"], line["status"]) == ("a", 404)
    assert samples[PERMANENT] == rejected
    assert samples[DELIVERED] == len(good) + len(bad) - rejected
    assert await reasons(workspace) == {"permanent": rejected}


async def test_a_receiver_that_rejects_some_by_design_gets_every_request_at_once(
    workspace: Workspace,
) -> None:
    """A receiver that answers 404 for four users of five gets each request, each of those is a dead
    letter at once, and nothing is deferred.
    """

    def answer(arrival: Arrival) -> Reply:
        number = int(arrival.delivery.partition(":")[0].removeprefix("e"))
        return response(404 if number % 5 else 200)

    await workspace.create_topics()
    # Few at a time: of many, a busy machine may bring dozens of rejections in a row.
    workspace.write_settings(delivery={"per_hook_concurrency": 4})
    async with Receiver(otherwise=ReceiverHarness(answer)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await write(workspace, [f"e{number}" for number in range(500)])
            await wait_until(workspace.caught_up, "all to be settled")
            samples = await daemon.samples()
            assert await daemon.stop() == 0
    assert (samples[DELIVERED], samples[PERMANENT], samples[OVERFLOWED]) == (100, 400, 0)


IN_FLIGHT = 8
SECONDS = 6


@pytest.mark.parametrize(
    ("transport", "status", "as_date"), [("curl", 429, False), ("aiohttp", 503, True)]
)
async def test_nothing_is_sent_before_the_time_that_retry_after_names(
    workspace: Workspace, transport: str, status: int, *, as_date: bool
) -> None:
    """A receiver that takes ten of five hundred events and then answers `Retry-After` gets nothing
    but what is in flight before that time, then everything, and no delivery has spent more than the
    attempt that was answered so.
    """
    ids = [f"e{number}" for number in range(500)]
    limited: list[float] = []

    def answer(arrival: Arrival) -> Reply:
        if len(conduct.arrivals) <= 10 or (limited and arrival.at >= limited[0] + SECONDS - 1):
            return response()
        limited.append(arrival.at)
        until = datetime.now(UTC) + timedelta(seconds=SECONDS + 1)  # a date has whole seconds
        named = format_datetime(until, usegmt=True) if as_date else str(SECONDS)
        return response(status, f"Retry-After: {named}")

    conduct = ReceiverHarness(answer)
    await workspace.create_topics()
    workspace.write_settings(
        delivery={
            "transport": transport, "per_hook_concurrency": IN_FLIGHT, "quick_attempts": 3
        }
    )  # fmt: skip
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        await write(workspace, ids)
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: conduct.reached(ids_of("a", ids)), "all", patience=90)
            await wait_until(workspace.caught_up, "all to be settled", patience=90)
            samples = await daemon.samples()
            assert await daemon.stop() == 0
    early = [at for at in (arrival.at for arrival in conduct.arrivals) if at < limited[0] + SECONDS]
    assert len(early) < 10 + IN_FLIGHT + 1
    assert len(limited) <= IN_FLIGHT
    assert sum(conduct.attempts.values()) == len(ids) + len(limited)
    assert samples[PAUSED] > 1e9
    [line] = [line for line in daemon.logs if "asks for a pause" in line["event"]]
    assert (line["hook"], line["status"]) == ("a", status)
    assert await workspace.dead_letters() == []


async def test_a_hook_may_list_statuses_that_are_retried(workspace: Workspace) -> None:
    """With `retry_on: [403]` a delivery that is answered 403 once is delivered; one that is
    answered 404 is a dead letter.
    """

    def answer(arrival: Arrival) -> Reply:
        if arrival.delivery.startswith("unknown"):
            return response(404)
        return response(403 if arrival.attempt == 1 else 200)

    conduct = ReceiverHarness(answer)
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        workspace.write_hooks(hook("a", receiver.origin, retry_on=[403]))
        async with Daemon(workspace.config) as daemon:
            await write(workspace, ["unknown", "known"])
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    assert conduct.attempts == {"known:a": 2, "unknown:a": 1}
    assert await reasons(workspace) == {"permanent": 1}
