"""The bounds that deliveries are made within."""

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.events.triggers import Trigger
from consumer.hooks.table import RateLimit


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the scheduler. Times in seconds."""

    concurrency: int
    per_host: int
    per_hook: int
    host_rate_limit: RateLimit | None
    timeout: float
    connect_timeout: float
    waiting: int = 1024
    """Deliveries that may wait for a slot before intake pauses, and for an in-process retry."""
    stall_timeout: float = 1.0
    """At capacity, an endpoint's queue overflows after this long without a result, or if its rate
    limit makes the queue longer than this."""
    max_queue_seconds: float = 2.0
    """At capacity, a queue that needs longer than this at its endpoint's pace overflows. A shorter
    time would be fairer, but a process that is short of CPU makes every endpoint look slow, and
    writing and reading a delivery costs it more than a request."""
    max_wait: float = 60.0
    """A delivery that waits longer than this overflows whatever capacity is left: until it is
    settled it holds back its partition's commits."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of the rate limits that this replica may use, each in (0, 1]."""

    hooks: Mapping[Trigger, float]
    """By a hook's trigger."""
    host: float
