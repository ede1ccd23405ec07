"""`hookstream send`: sends one delivery, and shows what the daemon would do after it."""

import asyncio
import random
from http import HTTPStatus
from typing import assert_never

from rich.table import Table
from rich.text import Text

from consumer.cli.console import output
from consumer.cli.process import run_on_loop
from consumer.clock import Clock
from consumer.delivery.http.authorities import read_authorities
from consumer.delivery.http.request import delivery_id
from consumer.delivery.http.transport import AttemptResult, Request
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
from consumer.services.samples import Sample, build
from consumer.settings import Settings


def send(hook: Hook, event: Event, shown: Sample, settings: Settings, clock: Clock) -> bool:
    """Send the request of `event` and print the result; whether it was delivered.

    `shown` is the request without its secrets. Raises `HookstreamError`.
    """
    request = build(hook, event, settings, clock.now())
    result = run_on_loop(lambda: _attempt(request, settings, clock))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    delivered = classify(result, hook.retry_on) is AnswerKind.SUCCESS
    for name, text in (
        ("request", f"GET {shown.url}"),
        ("delivery", delivery_id(event.id, hook.id)),
        ("status", _status(result)),
        ("time", f"{result.duration * 1000:.0f} ms"),
    ):
        table.add_row(name, Text(text))
    table.add_row(
        "meaning", Text(_consequence(result, hook, settings), "green" if delivered else "red")
    )
    output().print(table)
    return delivered


async def _attempt(request: Request, settings: Settings, clock: Clock) -> AttemptResult:
    transport = make_transport(settings, read_authorities(settings.network.ca_file), clock)
    result: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
    try:
        transport.send(request, result.set_result)
        return await result
    finally:
        await transport.close()


def _status(result: AttemptResult) -> str:
    if result.error is not None:
        return (
            f"none: {result.error} ({result.detail})" if result.detail else f"none: {result.error}"
        )
    try:
        return f"{result.status} {HTTPStatus(result.status).phrase}"
    except ValueError:  # a status that is not in the IANA registry
        return str(result.status)


def _consequence(result: AttemptResult, hook: Hook, settings: Settings) -> str:
    """What the daemon would do after such a first attempt."""
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
