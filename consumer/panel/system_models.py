"""The JSON of the API about dead letters, replicas, the audit and sessions."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from consumer.panel.journal_models import Horizon
from consumer.panel.models import DEFAULT_PAGE, MAX_PAGE, MAX_TEXT, Body, Query, Result, Revision
from consumer.settings import RoleName


class DeadLettersQuery(Query):
    """Which dead letters are listed."""

    hook: str | None = Field(default=None, max_length=MAX_TEXT)
    reason: str | None = Field(default=None, max_length=MAX_TEXT)
    since: str | None = Field(
        default=None, max_length=MAX_TEXT, description="RFC 3339, or a duration before now: `2h`."
    )
    again: bool = Field(
        default=False, description="Count for a replay that also sends what was sent before."
    )
    count: bool = Field(
        default=True, description="Count all of the filter, too; a page behind a cursor does not."
    )
    cursor: str | None = Field(default=None, description="`horizon.cursor` of the page before.")
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class DeadLetter(Result):
    """One dead letter, without the event, which is the user's."""

    time: str
    partition: int
    offset: int
    value_bytes: int
    foreign: bool = Field(description="Another program wrote it.")
    hook: str | None
    reason: str | None
    delivery: str | None
    attempts: int | None
    last_status: str | None
    first_failed_at: str | None
    source: str | None
    source_time: str | None
    trigger: str | None
    detail: str | None
    replayed_from: str | None
    replayed_at: str | None


class DeadLetterCount(Result):
    """How many dead letters there are of one kind."""

    hook: str
    reason: str
    count: int


class Replayable(Result):
    """How many dead letters a replay by the same filter would send."""

    count: int = Field(description="`expected` of the replay.")
    sent_before: int
    not_replayable: dict[str, int] = Field(description="By the reason why.")


class DeadLetters(Result):
    """Dead letters of a filter, the newest first, and counts of all."""

    dead_letters: list[DeadLetter]
    horizon: Horizon
    since: str | None = Field(description="The filter's `since` in RFC 3339, for the replay.")
    total: int | None = Field(description="Null: they were not counted, or not in time.")
    counts: list[DeadLetterCount]
    replayable: Replayable | None = Field(description="Null: as `total`.")
    others: dict[str, int] = Field(description="Of other groups, left out of this page.")


class ReplayBody(Body):
    """Which dead letters are sent again."""

    expected: int = Field(ge=0, description="The count that was shown.")
    hook: str | None = Field(default=None, max_length=MAX_TEXT)
    reason: str | None = Field(default=None, max_length=MAX_TEXT)
    since: str | None = Field(default=None, max_length=MAX_TEXT)
    limit: int | None = Field(default=None, ge=1, description="At most so many, the oldest first.")
    again: bool = Field(default=False, description="Also those that were sent before.")


class Replayed(Result):
    """What a replay sent."""

    sent: int
    total: int
    done: bool


class HookProblemItem(Result):
    """A live definition that a replica refuses."""

    hook: str
    message: str
    revision: int


class Replica(Result):
    """One replica that runs."""

    replica: str
    version: str
    started_at: str
    at: str = Field(description="When it told this.")
    in_force: bool = Field(description="Whether the newest definitions are in force there.")
    hooks: int
    hooks_offset: int
    newest_offset: int
    problem_count: int
    problems: list[HookProblemItem]
    partitions: dict[str, list[int]]
    lag: dict[str, int]
    lag_per_second: dict[str, float] = Field(
        description="By topic, how fast the lag grows, by the last minute; negative: it shrinks; "
        "0: neither. A topic that is not here is not known yet."
    )
    in_flight: int
    open_circuits: list[str]
    disabled_hooks: list[str]
    learned_rates: dict[str, float]


class Replicas(Result):
    """The replicas that run."""

    replicas: list[Replica]


class AuditQuery(Query):
    """Which changes are listed."""

    hook: str | None = Field(default=None, max_length=MAX_TEXT)
    by: str | None = Field(default=None, max_length=MAX_TEXT)
    since: str | None = Field(
        default=None, max_length=MAX_TEXT, description="RFC 3339, or a duration before now: `2h`."
    )
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)
    before: int | None = Field(default=None, ge=0, description="`next` of the page before.")


class AuditEntry(Revision):
    """One change."""

    hook: str


class Audit(Result):
    """Who changed what, the newest first."""

    changes: list[AuditEntry]
    next: int | None = Field(description="`before` of the next page.")


class LogIn(Body):
    """What opens a session."""

    token: str = Field(max_length=MAX_TEXT)


class Session(Result):
    """Who is logged in."""

    name: str
    role: RoleName
    how: Literal["token", "session", "proxy"]
    csrf_token: str | None = Field(
        description="What writes of a session repeat in the header `X-CSRF-Token`."
    )


class Health(Result):
    """The process is alive."""

    ok: Literal[True] = True


class Document(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: Literal["3.1.0"]
