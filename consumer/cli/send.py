"""`hookstream send`: one delivery, now, and what would have followed from it."""

import asyncio
import random
from http import HTTPStatus
from typing import assert_never

from rich.table import Table
from rich.text import Text

from consumer.cli.console import output
from consumer.cli.process import run_on_loop
from consumer.cli.sample import Sample, build
from consumer.clock import Clock
from consumer.delivery.http.authorities import read_authorities
from consumer.delivery.http.request import delivery_id
from consumer.delivery.http.transport import AttemptResult, Request
from consumer.delivery.scheduling.answers import MAX_CONSECUTIVE_410
from consumer.delivery.scheduling.retry_policy import (
    AnswerKind,
    DeadLetter,
    Defer,
    Delivered,
    RetryNow,
    classify,
)
from consumer.events.model import Event
from consumer.factories import make_policy, make_transport
from consumer.hooks.table import Hook
from consumer.settings import Settings


def send(hook: Hook, event: Event, shown: Sample, settings: Settings, clock: Clock) -> bool:
    """Send the request of `event` and print what came of it; whether it was delivered.

    `shown` is the request without its secrets. Raises `HookstreamError`.
    """
    request = build(hook, event, settings, clock.now())
    answer = run_on_loop(lambda: _attempt(request, settings, clock))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    delivered = classify(answer, hook.retry_on) is AnswerKind.SUCCESS
    for name, text in (
        ("request", f"GET {shown.url}"),
        ("delivery", delivery_id(event.id, hook.id)),
        ("status", _status(answer)),
        ("time", f"{answer.duration * 1000:.0f} ms"),
    ):
        table.add_row(name, Text(text))
    table.add_row(
        "meaning", Text(_follows(answer, hook, settings), "green" if delivered else "red")
    )
    output().print(table)
    return delivered


async def _attempt(request: Request, settings: Settings, clock: Clock) -> AttemptResult:
    transport = make_transport(settings, read_authorities(settings.network.ca_file), clock)
    answered: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
    try:
        transport.send(request, answered.set_result)
        return await answered
    finally:
        await transport.close()


def _status(answer: AttemptResult) -> str:
    if answer.error is not None:
        return (
            f"none: {answer.error} ({answer.detail})" if answer.detail else f"none: {answer.error}"
        )
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:  # a number that the IANA registry does not know
        return str(answer.status)


def _follows(answer: AttemptResult, hook: Hook, settings: Settings) -> str:
    """What the daemon would do after such a first attempt."""
    what = classify(answer, hook.retry_on)
    decision = make_policy(settings).decide(
        what, answer, attempts=1, elapsed=answer.duration, age=0.0, random=random.random
    )
    match decision:
        case Delivered():
            return "delivered"
        case RetryNow():
            return "would be retried within seconds"
        case Defer(retry_topic):
            topic = settings.kafka.own_topics.retry(settings.retry.delays[retry_topic])
            return f"would be retried, by way of {topic}"
        case DeadLetter(reason):
            gone = ""
            if what is AnswerKind.GONE and not hook.uri_variables:
                gone = f"; {MAX_CONSECUTIVE_410} in a row disable the hook until a reload"
            return f"would go to the dead-letter topic: {reason}{gone}"
        case _:
            assert_never(decision)
