"""`hookstream send`: sends one delivery, and shows what the daemon would do after it."""

from http import HTTPStatus

from rich.table import Table
from rich.text import Text

from consumer.cli.console import output
from consumer.cli.process import run_on_loop
from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.services.requests import TestAuthorities, send_now
from consumer.services.samples import Sample
from consumer.settings import Settings


def send(hook: Hook, event: Event, shown: Sample, settings: Settings, clock: Clock) -> bool:
    """Send the request of `event` and print the result; whether it was delivered.

    `shown` is the request without its secrets. Raises `HookstreamError`.
    """
    authorities = TestAuthorities(settings.network.ca_file)
    sent = run_on_loop(lambda: send_now(hook, event, settings, clock, authorities=authorities))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in (
        ("request", f"GET {shown.url}"),
        ("delivery", sent.delivery_id),
        ("status", _status(sent.result)),
        ("time", f"{sent.result.duration * 1000:.0f} ms"),
    ):
        table.add_row(name, Text(text))
    table.add_row("meaning", Text(sent.consequence, "green" if sent.delivered else "red"))
    output().print(table)
    return sent.delivered


def _status(result: AttemptResult) -> str:
    if result.error is not None:
        return (
            f"none: {result.error} ({result.detail})" if result.detail else f"none: {result.error}"
        )
    try:
        return f"{result.status} {HTTPStatus(result.status).phrase}"
    except ValueError:  # a status that is not in the IANA registry
        return str(result.status)
