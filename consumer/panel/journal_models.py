"""The JSON of the API about what happened: deliveries and reports."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from consumer.panel.models import DEFAULT_PAGE, MAX_PAGE, MAX_TEXT, Query, Result

NOTE = "A sentence about the search, as that no hook has the id that was asked for."


class DeliveriesQuery(Query):
    """Which records of the delivery log are wanted."""

    hook: str | None = Field(default=None, max_length=MAX_TEXT)
    outcome: str | None = Field(default=None, max_length=MAX_TEXT)
    status: str | None = Field(
        default=None, max_length=MAX_TEXT, description="`503`, `5xx`, or a kind of error."
    )
    since: str | None = Field(
        default=None, max_length=MAX_TEXT, description="RFC 3339, or a duration before now: `2h`."
    )
    until: str | None = Field(default=None, max_length=MAX_TEXT)
    id: str | None = Field(default=None, max_length=MAX_TEXT, description="A delivery's id.")
    event: str | None = Field(default=None, max_length=MAX_TEXT, description="An event's id.")
    user: str | None = Field(
        default=None,
        max_length=MAX_TEXT,
        description="A user's id, of which the log has a hash. For editors. Proxies may log it.",
    )
    cursor: str | None = Field(
        default=None, max_length=64 * 1024, description="`horizon.cursor` of the answer before."
    )
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class DeliveryPhases(Result):
    """Milliseconds from the start of an attempt; 0: there was no such phase."""

    dns: float
    connect: float
    tls: float
    first_byte: float
    all: float


class Delivery(Result):
    """One attempt, or the end of a delivery without one."""

    at: str
    delivery: str
    hook: str
    source: str
    attempt: int
    outcome: str
    replica: str
    event: str | None
    revision: int | None
    status: int | None
    error: str | None
    ms: DeliveryPhases | None
    retry_at: str | None
    reason: str | None
    user: str | None = Field(description="A keyed hash; null for viewers.")
    trace: str | None
    partition: int
    offset: int


class UnreadableSpan(Result):
    """Damaged records of a partition."""

    partition: int
    first_offset: int
    last_offset: int


class Horizon(Result):
    """What was searched."""

    end: str = Field(description="What ended the search.")
    searched_to: str | None = Field(description="All that is wanted and newer was found.")
    records: int
    passed_over: int
    unreadable: list[UnreadableSpan]
    cursor: str | None = Field(description="Where the search goes on; null: it is complete.")


class Deliveries(Result):
    """What was found, the newest first."""

    deliveries: list[Delivery]
    horizon: Horizon
    note: str | None = Field(description=NOTE)


class SearchProgress(Result):
    """How far a search has come."""

    records: int
    searched_to: str | None


class DeliveryLine(BaseModel):
    """One line of a search: one of its fields is there."""

    model_config = ConfigDict(extra="forbid")

    delivery: Delivery | None = None
    progress: SearchProgress | None = None
    horizon: Horizon | None = None
    note: str | None = Field(default=None, description=f"Beside the horizon: {NOTE}")


class ReportsQuery(Query):
    """Which reports are wanted."""

    hook: str | None = Field(default=None, max_length=MAX_TEXT)
    since: str | None = Field(default=None, max_length=MAX_TEXT, description="Default: `24h`.")
    until: str | None = Field(default=None, max_length=MAX_TEXT)
    step: Literal["1h", "1d"] | None = Field(default=None, description="Default: `1h`.")


class Report(Result):
    """The counts of one hook and step, of all replicas together."""

    hook: str
    start: str
    seconds: float
    delivered: int
    retried: int
    overflowed: int
    dead_lettered: dict[str, int]
    attempts: dict[str, int]
    attempts_per_second: float
    success_share: float | None
    ms: dict[str, float] = Field(description="Percentiles of an attempt's time.")


class Reports(Result):
    """Reports by hook, then by time."""

    reports: list[Report]
    exists: bool = Field(description="Whether there is a topic of reports.")
    passed_over: int
