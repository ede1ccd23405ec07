"""The delivery log, searched and followed for the commands and the API."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from consumer.clock import Clock
from consumer.journal.log_filter import LogFilter, parse_filter
from consumer.journal.log_search import (
    UNBOUNDED,
    FoundDelivery,
    Horizon,
    LogSearch,
    SearchBounds,
    SearchEnd,
    SearchStep,
)
from consumer.journal.records import user_key_of
from consumer.services.times import rfc3339
from consumer.settings import KafkaSettings, Settings

UNKNOWN_HOOK: Final = "no hook has this id; its rows may still be in the log"
"""Stands beside what was found by the id of a hook that there is not."""


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A part of what a search finds."""

    deliveries: Sequence[FoundDelivery]
    """The newest first."""
    horizon: Horizon
    """With the cursor of the next page."""


class Deliveries:
    """The delivery log of an installation. It holds no state; each call has connections of its own.

    Every call raises `HookstreamError` if the broker does not answer or refuses.
    """

    def __init__(self, settings: KafkaSettings, user_key: bytes, clock: Clock) -> None:
        """`user_key`: see `journal.records.user_key`."""
        self.topic = settings.own_topics.deliveries
        self._search = LogSearch(settings, clock)
        self._user_key = user_key
        self._clock = clock

    def parse(self, values: Mapping[str, str]) -> LogFilter:
        """The filter that a person wrote: `log_filter.FILTERS` with their texts.

        Raises:
            ConfigError: with each name that is no filter, and each text that it does not take.
        """
        return parse_filter(values, now=self._clock.now(), user_key=self._user_key)

    def search(
        self,
        wanted: LogFilter,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        bounds: SearchBounds = UNBOUNDED,
    ) -> AsyncGenerator[SearchStep, None]:
        """Yield what is found, newest first, `Progress` between, and one `Horizon` at the end; to
        stop the search, close the generator.

        Raises:
            ConfigError: the cursor is none of a search by this filter.
        """
        return self._search.search(wanted, limit=limit, cursor=cursor, bounds=bounds)

    async def page(
        self,
        wanted: LogFilter,
        *,
        limit: int,
        cursor: str | None = None,
        bounds: SearchBounds = UNBOUNDED,
    ) -> DeliveryPage:
        """The newest `limit` deliveries, or those behind a cursor. Raises as `search`."""
        found, horizon = list[FoundDelivery](), Horizon(SearchEnd.NO_LOG, None, 0, 0)
        steps = self.search(wanted, limit=limit, cursor=cursor, bounds=bounds)
        async with aclosing(steps):
            async for step in steps:
                if isinstance(step, FoundDelivery):
                    found.append(step)
                elif isinstance(step, Horizon):
                    horizon = step
        return DeliveryPage(found, horizon)

    def follow(self, wanted: LogFilter) -> AsyncGenerator[FoundDelivery, None]:
        """Yield what is wanted and written from now on, or from the filter's `since` on, for ever.

        Raises:
            HookstreamError: also if there is no log yet.
        """
        return self._search.follow(wanted)


def make_deliveries(settings: Settings, clock: Clock) -> Deliveries:
    """The delivery log that the settings name."""
    return Deliveries(settings.kafka, user_key_of(settings), clock)


def delivery_facts(found: FoundDelivery) -> dict[str, Any]:
    """A record of the log as JSON; what is not known is null."""
    record, _, partition, offset = found
    dns, connect, tls, first_byte, whole = record.ms
    return {  # written out: a dump makes millions
        "at": record.at,
        "delivery": record.delivery,
        "hook": record.hook,
        "source": record.source,
        "attempt": record.attempt,
        "outcome": record.outcome,
        "replica": record.replica,
        "event": record.event,
        "revision": record.revision,
        "status": record.status,
        "error": record.error,
        "ms": {"dns": dns, "connect": connect, "tls": tls, "first_byte": first_byte, "all": whole}
        if record.attempt
        else None,
        "retry_at": record.retry_at,
        "reason": record.reason,
        "user": record.user,
        "trace": record.trace,
        "partition": partition,
        "offset": offset,
    }


def horizon_facts(horizon: Horizon) -> dict[str, Any]:
    """A horizon as JSON; times are RFC 3339."""
    return {
        "end": horizon.end,
        "searched_to": rfc3339(horizon.searched_to),
        "records": horizon.records,
        "passed_over": horizon.passed_over,
        "unreadable": [
            {"partition": number, "first_offset": first, "last_offset": last}
            for number, (first, last) in sorted(horizon.unreadable.items())
        ],
        "cursor": horizon.cursor,
    }


def horizon_sentence(horizon: Horizon) -> str:
    """What was searched, for people; without a full stop."""
    back = f"back to {rfc3339(horizon.searched_to)}" if horizon.searched_to is not None else ""
    searched = f"{horizon.records:,} records searched"
    match horizon.end:
        case SearchEnd.NO_LOG:
            return "there is no delivery log yet: a daemon with delivery_log makes it"
        case SearchEnd.BEGINNING:
            return f"{searched}, all that were ever written"
        case SearchEnd.LOG_START:
            return f"{searched} {back}".rstrip() + ": earlier ones are deleted (retention)"
        case SearchEnd.SINCE:
            return f"{searched} {back}".rstrip()
        case SearchEnd.LIMIT:
            return f"{searched} {back}".rstrip() + ": there may be more"
        case SearchEnd.BOUND:
            return f"{searched} {back}".rstrip() + ": stopped there, by its bound"
    raise AssertionError(horizon.end)
