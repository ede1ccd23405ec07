"""A clock, a network and an outcome log that tests control, and short makers of objects."""

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.transport import AttemptResult, Request, Wanted, closed_result
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.retry_policy import DeadLetter, Defer, Overflow
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.conditions import Conditions
from consumer.hooks.table import (
    Header,
    Hook,
    Missing,
    Order,
    Parameter,
    RateLimit,
    UriVariable,
    Value,
)
from consumer.hooks.template import parse_template
from consumer.hooks.value_sources import Source
from consumer.reasons import Reason
from consumer.records.record import Headers
from consumer.records.tracker import InFlightRecord, OffsetTracker


class FakeClock:
    """A clock and its timers, which `advance` alone moves."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        """`now`: epoch seconds of the wall clock."""
        self._now = now
        self._monotonic = 1_000.0
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def now(self) -> float:
        """See `Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._monotonic

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back, as a person or NTP does; the monotonic one goes on."""
        self._now -= seconds

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        """See `loop.call_later`."""
        self._count += 1
        heapq.heappush(self._timers, (self._monotonic + delay, self._count, callback))

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and call each timer at its own time."""
        end = self._monotonic + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, callback = heapq.heappop(self._timers)
            self._move_to(due)
            callback()
        self._move_to(end)

    def _move_to(self, moment: float) -> None:
        passed = max(0.0, moment - self._monotonic)
        self._monotonic += passed
        self._now += passed


class FakeTransport:
    """A Transport that keeps each attempt until the test answers it.

    `tests/contract/test_transport.py` holds it to what has a meaning without sockets.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.sent: list[Request] = []
        """Everything, in order."""
        self.sent_at: list[float] = []
        """Monotonic seconds at which each was sent."""
        self.open: list[tuple[Request, Callable[[AttemptResult], None]]] = []
        """Attempts without an answer, in order."""
        self._wanted: Wanted | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that closed it."""

    def send(self, request: Request, done: Callable[[AttemptResult], None]) -> None:
        """See `Transport.send`."""
        self.sent.append(request)
        self.sent_at.append(self._clock.monotonic())
        if self._loop is not None:
            self._loop.call_soon(done, closed_result())
        else:
            self.open.append((request, done))

    def keep_idle(self, connections: int) -> None:
        """Do nothing: there are no connections."""

    def set_policy(self, policy: EgressPolicy) -> None:
        """See `Transport.set_policy`; nothing is dialled here."""

    def trust(self, authorities: Authorities) -> None:
        """Do nothing: there is no network."""

    def measure(self, wanted: Wanted | None) -> None:
        """See `Transport.measure`; nothing takes time here."""
        self._wanted = wanted

    def answer(self, answer: AttemptResult | int = 200, index: int = 0) -> Request:
        """Answer the open attempt number `index`, the oldest by default."""
        request, done = self.open.pop(index)
        result = AttemptResult(status=answer) if isinstance(answer, int) else answer
        if self._wanted is not None and self._wanted(result.status):
            result.phases = (0, 0, 0, 0)
        done(result)
        return request

    def answer_all(self, answer: AttemptResult | int = 200) -> int:
        """Answer what is open now; returns how many attempts that were."""
        count = len(self.open)
        for _ in range(count):
            self.answer(answer)
        return count

    async def failure(self) -> str:
        """See `Transport.failure`; nothing can break here."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        """See `Transport.close`."""
        self._loop = asyncio.get_running_loop()
        while self.open:
            self.answer(closed_result())


class OutcomeLog:
    """An `Outcomes` that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        """Delivery id and outcome: `delivered`, `deferred <cause>`, `overflowed <cause>`,
        `dead-lettered <reason>`.
        """
        self.deferrals: dict[str, Defer] = {}
        self.switched_off = False
        """Whether each deferral becomes a dead letter."""

    def amend(
        self, delivery: Delivery, deferral: Defer | Overflow
    ) -> Defer | Overflow | DeadLetter:
        """See `Outcomes.amend`."""
        del delivery
        return DeadLetter(Reason.DISABLED, "off") if self.switched_off else deferral

    def delivered(self, delivery: Delivery) -> None:
        """See `Outcomes.delivered`."""
        self.told.append((delivery.id, "delivered"))

    def deferred(self, delivery: Delivery, deferral: Defer, cause: str) -> None:
        """See `Outcomes.deferred`."""
        self.told.append((delivery.id, f"deferred {cause}"))
        self.deferrals[delivery.id] = deferral

    def overflowed(self, delivery: Delivery, cause: str) -> None:
        """See `Outcomes.overflowed`."""
        self.told.append((delivery.id, f"overflowed {cause}"))

    def dead_lettered(self, delivery: Delivery, reason: Reason, detail: str) -> None:
        """See `Outcomes.dead_lettered`."""
        assert detail
        self.told.append((delivery.id, f"dead-lettered {reason}"))

    def of(self, id: str) -> list[str]:
        """The outcomes of one delivery; there must be exactly one."""
        return [outcome for told, outcome in self.told if told == id]


@dataclass
class FakeRecord:
    """A consumed record with aiokafka's attributes."""

    value: bytes | None = b"{}"
    topic: str = "event"
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_800_000_000_000
    key: bytes | None = None
    headers: Headers = field(default_factory=list)


def make_source_record() -> InFlightRecord:
    """A received record of one delivery, on a partition of its own."""
    return OffsetTracker("event", 0, 0).receive(0, FakeRecord(), 1, 0.0)


def make_record(document: object, **place: Any) -> FakeRecord:
    """A record whose value is `document` as JSON."""
    return FakeRecord(orjson.dumps(document), **place)


def make_event(document: Mapping[str, object] | None = None, trigger: Trigger = "event") -> Event:
    """The event of `document`, which is `{"id": "e1"}` by default."""
    return Decoder(trigger)(make_record(document if document is not None else {"id": "e1"}))


def make_value(source: Source, text: str, missing: Missing = "omit") -> Value:
    """The compiled form of a definition's `source` and `value`."""
    if source == "fixed":
        return Value(source, text=text, missing=missing, reference=text)
    return Value(source, path=tuple(text.split(".")), missing=missing, reference=text)


def make_brace(
    name: str,
    *,
    entry: Value | None = None,
    default: str | None = None,
    missing: Missing = "reject",
) -> UriVariable:
    """What an entry of `uri_parameters` compiles to."""
    return UriVariable(name, name, entry, default, missing)


def make_hook(
    id: str = "h1",
    *,
    uri: str = "https://receiver.example/hook",
    variables: Sequence[UriVariable] = (),
    headers: Mapping[str, Value] | None = None,
    parameters: Sequence[tuple[str, Value]] = (),
    trigger: Trigger = "event",
    select: frozenset[str] | None = None,
    app: str | None = None,
    enabled: bool = True,
    rate_limit: RateLimit | None = None,
    order: Order | None = None,
    signing_keys: tuple[bytes, ...] = (),
    needs_composed: bool = False,
    when: Conditions | None = None,
) -> Hook:
    """A compiled hook; a variable that is not described has neither entry nor default.

    Names of `parameters` are percent-encoded already, as in the table.
    """
    template = parse_template(uri)
    known = {variable.name: variable for variable in variables}
    pieces = [
        (known.get(part) or make_brace(part)) if index % 2 else part
        for index, part in enumerate(template.parts)
    ]
    return Hook(
        id=id,
        name=id,
        enabled=enabled,
        app=app,
        trigger=trigger,
        select=select,
        origin=template.origin,
        host_key=template.host_key,
        template_parts=tuple(piece for piece in pieces if piece),
        has_query=template.has_query,
        headers=tuple(Header(name, value) for name, value in (headers or {}).items()),
        parameters=tuple(Parameter(name, value) for name, value in parameters),
        rate_limit=rate_limit,
        order=order,
        timeout=None,
        signing_keys=signing_keys,
        needs_composed=needs_composed,
        when=when,
    )


def make_table(*hooks: Hook) -> dict[str, Hook]:
    """The table of `hooks`."""
    return {hook.id: hook for hook in hooks}
