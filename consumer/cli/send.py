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
from consumer.delivery.answers import GONE_LIMIT
from consumer.delivery.authorities import read_authorities
from consumer.delivery.outcome import Bury, Delivered, Meaning, Park, Repeat, meaning
from consumer.delivery.request import delivery_id
from consumer.delivery.transport import Answer, Request
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.parts import make_policy, make_transport
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
    delivered = meaning(answer, hook.retry_on) is Meaning.SUCCESS
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


async def _attempt(request: Request, settings: Settings, clock: Clock) -> Answer:
    transport = make_transport(settings, read_authorities(settings.network.ca_file), clock)
    answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    try:
        transport.send(request, answered.set_result)
        return await answered
    finally:
        await transport.close()


def _status(answer: Answer) -> str:
    if answer.error is not None:
        return (
            f"none: {answer.error} ({answer.detail})" if answer.detail else f"none: {answer.error}"
        )
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:  # a number that the IANA registry does not know
        return str(answer.status)


def _follows(answer: Answer, hook: Hook, settings: Settings) -> str:
    """What the daemon would do after such a first attempt."""
    what = meaning(answer, hook.retry_on)
    decision = make_policy(settings).decide(
        what, answer, attempts=1, elapsed=answer.duration, age=0.0, random=random.random
    )
    match decision:
        case Delivered():
            return "delivered"
        case Repeat():
            return "would be retried within seconds"
        case Park(lane):
            topic = settings.kafka.own_topics.retry(settings.retry.delays[lane])
            return f"would be retried, by way of {topic}"
        case Bury(reason):
            gone = ""
            if what is Meaning.GONE and not hook.braces:
                gone = f"; {GONE_LIMIT} in a row disable the hook until a reload"
            return f"would go to the dead-letter topic: {reason}{gone}"
        case _:
            assert_never(decision)
