"""The JSON that the API takes and answers with."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from consumer.control.records import Action
from consumer.documents.lines import one_line
from consumer.errors import InvalidValue
from consumer.events.triggers import Trigger
from consumer.hooks.texts import HOOK_ID
from consumer.services.catalogue import HookState

MAX_TEXT = 500
"""Characters of a comment, or of a text that is searched for."""
DEFAULT_PAGE = 100
MAX_PAGE = 1_000
_HOOK_ID = f"^{HOOK_ID}$"


class Query(BaseModel):
    """The query of a request: closed to unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(BaseModel):
    """The body of a request: closed to unknown names, and types are as JSON has them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Result(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid")


class DryRun(Query):
    """Of a write."""

    dry_run: bool = Field(default=False, description="Answer what would be, and write nothing.")
    comment: Annotated[str, AfterValidator(lambda text: one_line(text, MAX_TEXT))] = Field(
        default="", max_length=MAX_TEXT, description="Why, for the history."
    )


class HooksQuery(Query):
    """Which hooks are listed."""

    q: str | None = Field(
        default=None, max_length=MAX_TEXT, description="Part of id, name, owner or URI."
    )
    trigger: Trigger | None = None
    state: HookState | None = None
    cursor: str | None = Field(
        default=None, pattern=_HOOK_ID, description="`next` of the page before."
    )
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class DayCounts(Result):
    """What happened to a hook within 24 hours, over all replicas."""

    delivered: int
    retried: int
    overflowed: int
    dead_lettered: int
    attempts: int


class HookSummary(Result):
    """One hook in a list."""

    hook: str
    name: str
    owner: str | None
    source: Literal["file", "live"]
    state: HookState
    trigger: str | None
    uri: str | None
    revision: int | None = Field(description="Of a live definition.")
    at: str | None = Field(description="When it was last changed, in RFC 3339.")
    by: str | None
    problem: str | None = Field(description="Why it is not in force as it was written.")
    day: DayCounts | None = Field(
        description="Counts of 24 hours; null: there are no reports, or they cannot be read now."
    )


class Hook(HookSummary):
    """One hook."""

    file: str | None = Field(description="File and line of a definition in a file.")
    comment: str | None
    definition: dict[str, Any] | None = Field(
        description="As its author wrote it, but for signing secrets that are not sealed: viewers "
        "get `(hidden)`, and editors a mark that may be written back in their place."
    )


class FileProblemItem(Result):
    """What is wrong with a file of definitions."""

    file: str
    line: int
    field: str
    message: str
    hint: str


class Hooks(Result):
    """A page of hooks, by id."""

    hooks: list[HookSummary]
    total: int = Field(description="Hooks that match, on all pages.")
    next: str | None = Field(description="The cursor of the next page.")
    file_problems: list[FileProblemItem]
    replicas: int | None = Field(
        description="Replicas that run: with 0 nothing is sent, whatever a state says; null: hooks "
        "are not live, or it is not known."
    )


class FieldDifference(Result):
    """One field of which two definitions have different values."""

    field: str
    before: str | None
    after: str | None


class Change(Result):
    """What a write did, or would do."""

    hook: str
    action: Action | Literal["unchanged"] = Field(
        description="`unchanged`: the definition is in force already, so nothing is written."
    )
    dry_run: bool
    seen: int = Field(description="The revision before; 0: none.")
    revision: int | None = Field(
        description="The revision afterwards; null if a dry run would write another one."
    )
    fields: list[FieldDifference]
    definition: dict[str, Any] | None = Field(description="Null: the hook is deleted.")


class HistoryQuery(Query):
    """Which revisions are listed."""

    before: int | None = Field(default=None, ge=1, description="Only revisions before this one.")
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class Revision(Result):
    """One revision of a hook."""

    revision: int
    action: Action
    at: str
    by: str
    comment: str
    fields: list[FieldDifference]
    definition: dict[str, Any] | None


class History(Result):
    """The revisions of a hook, the newest first."""

    hook: str
    revisions: list[Revision]
    next: int | None = Field(description="`before` of the next page.")


class Rollback(Body):
    """The revision that is to come back."""

    revision: int = Field(ge=1)


class Checked(Result):
    """A definition without a problem."""

    hook: str
    trigger: str
    enabled: bool


class AboutHook(Body):
    """A hook, by its id or its definition."""

    hook: str | None = Field(default=None, pattern=_HOOK_ID)
    definition: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "AboutHook":
        if (self.hook is None) == (self.definition is None):
            raise InvalidValue("names no hook, or two", "give one of `hook` and `definition`")
        return self


class SampleBody(AboutHook):
    """What a sample is made of."""

    event: dict[str, Any] | None = Field(
        default=None, description="Without one, placeholders stand for its values."
    )


class TestBody(AboutHook):
    """What a test sends."""

    event: dict[str, Any]


class Sample(Result):
    """A request as a `curl` command."""

    curl: str
    url: str
    headers: list[str] = Field(description="Secrets as their references.")
    stopped: str | None = Field(description="Why the daemon would not send it.")


class Phases(Result):
    """Milliseconds from the start of an attempt; null: there was no such phase."""

    dns: float | None
    connect: float | None
    tls: float | None
    first_byte: float | None
    all: float


class TestResult(Result):
    """What became of one delivery that was sent now."""

    delivery: str
    status: int | None = Field(description="Null: there was no answer.")
    error: str | None = Field(description="The kind of error without an answer.")
    detail: str | None
    delivered: bool
    consequence: str = Field(description="What the daemon would do after such an attempt.")
    stopped: str | None = Field(description="Why the daemon would not send it.")
    ms: Phases
    answer: str = Field(
        description="The first KiB of the answer as printable text, without secrets of the hook."
    )
    answer_is_cut: bool
    location: str | None = Field(
        description="Where the answer redirects, which is not followed. Null: nowhere."
    )
