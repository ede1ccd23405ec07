"""One delivery sent now, by the daemon's own request code, guard and transport."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from consumer.clock import Clock
from consumer.delivery.http.authorities import Authorities, read_authorities
from consumer.delivery.http.request import delivery_id
from consumer.delivery.http.transport import AttemptResult, Request, Transport
from consumer.delivery.scheduling.results import MAX_CONSECUTIVE_410
from consumer.delivery.scheduling.retry_policy import (
    AnswerKind,
    DeadLetter,
    Defer,
    Delivered,
    Overflow,
    Requeue,
    RetryNow,
    classify,
)
from consumer.events.model import Event
from consumer.factories import make_policy, make_transport
from consumer.hooks.table import Hook
from consumer.services.answers import AnswerStart
from consumer.services.samples import build
from consumer.settings import Settings


@dataclass(frozen=True, slots=True)
class TestSend:
    """What became of one delivery that a person sent."""

    delivery_id: str
    result: AttemptResult
    delivered: bool
    consequence: str
    """What the daemon would do after such a first attempt."""
    answer: str
    """The beginning of the answer's body: see `AnswerStart`."""
    is_cut: bool
    """Whether there was more."""
    location: str
    """Where the answer redirects, which is not followed; empty: nowhere. As safe as `answer`."""
    at: float
    """The time of its signature; epoch seconds."""


class TestAuthorities:
    """The authorities that test sends verify receivers with. Their files are read each time, in a
    thread, and parsed again only if they differ: that takes up to 300 ms.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file = ca_file
        self._last: Authorities | None = None
        self._lock = asyncio.Lock()

    async def read(self) -> Authorities:
        """The authorities now. Raises `HookstreamError` if a file cannot be read."""
        async with self._lock:
            self._last = await asyncio.to_thread(read_authorities, self._ca_file, self._last)
            return self._last


async def send_now(
    hook: Hook,
    event: Event,
    settings: Settings,
    clock: Clock,
    *,
    authorities: TestAuthorities,
    secrets: Iterable[str] = (),
) -> TestSend:
    """Send the request of `event` once. `secrets`: texts that are hidden if the answer repeats
    them.

    Raises:
        HookstreamError: no request can be made of the event, or `network.ca_file` cannot be read.
    """
    at = clock.now()
    request = build(hook, event, settings, at)
    answer = AnswerStart([*secrets, *_signatures(request)])
    transport = make_transport(settings, await authorities.read(), clock, taker=answer)
    result = await _attempt(request, transport)
    return TestSend(
        delivery_id(event.id, hook.id),
        result,
        classify(result, hook.retry_on) is AnswerKind.SUCCESS,
        _consequence(result, hook, settings),
        answer.text,
        answer.is_cut,
        answer.location,
        at,
    )


def _signatures(request: Request) -> Iterable[str]:
    """The signature of a request: who has it could send the request again."""
    for line in request.headers:
        name, _, value = line.decode().partition(": ")
        if name == "webhook-signature":
            yield value


async def _attempt(request: Request, transport: Transport) -> AttemptResult:
    result: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
    transport.measure(lambda _status: True)
    try:
        transport.send(request, result.set_result)
        return await result
    finally:
        await transport.close()


def _consequence(result: AttemptResult, hook: Hook, settings: Settings) -> str:
    kind = classify(result, hook.retry_on)
    decision = make_policy(settings).decide(
        kind, result, attempts=1, elapsed=result.duration, age=0.0, random=random.random
    )
    match decision:
        case Delivered():
            return "delivered"
        case RetryNow():
            return "would be retried within seconds"
        case Requeue():
            return "would be sent again after the time that the receiver named"
        case Defer(retry_topic):
            topic = settings.kafka.own_topics.retry(settings.retry.delays[retry_topic])
            return f"would be retried through {topic}"
        case Overflow():
            return f"would wait in {settings.kafka.own_topics.overflow}"
        case DeadLetter(reason):
            note = ""
            if kind is AnswerKind.GONE and not hook.uri_variables:
                note = f"; {MAX_CONSECUTIVE_410} in a row disable the hook until a reload"
            return f"would go to the dead-letter topic: {reason}{note}"
        case _:
            assert_never(decision)
