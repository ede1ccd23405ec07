"""The status of each replica: a record of `<prefix>.status`, written every few seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from consumer.control.records import Written
from consumer.errors import InvalidValue

FORMAT: Final = 1
STATUS_SECONDS: Final = 5.0
"""Between two records of a replica."""
GONE_SECONDS: Final = 3 * STATUS_SECONDS
"""Age of a replica's last record from which it counts as gone."""
MAX_LISTED: Final = 50
"""Entries in each list of a status: it is for people, and stays small with any number of hooks."""


@dataclass(frozen=True, slots=True)
class HookProblem:
    """A live definition that a replica refuses."""

    hook: str
    message: str
    """With the hint, and never with a secret."""
    revision: int
    """The revision that is in force there instead; 0: none."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica at one moment. Lists hold `MAX_LISTED` entries at most."""

    replica: str
    """Another one after each start."""
    version: str
    started_at: str
    """RFC 3339, as all times here."""
    at: str
    hooks: int
    """In force, enabled or not."""
    hooks_offset: int
    """The offset of the last record of the definitions' topic that is applied; -1: none."""
    problem_count: int
    problems: Sequence[HookProblem]
    partitions: Mapping[str, Sequence[int]]
    """By topic, the numbers of the partitions that it reads."""
    lag: Mapping[str, int]
    """By topic, the records that are not settled."""
    in_flight: int
    open_circuits: Sequence[str]
    """Ids of hooks."""
    learned_rates: Mapping[str, float]
    """By hook, requests a second."""
    disabled_hooks: Sequence[str] = ()
    """Ids of hooks that answers of 410 stopped; earlier versions did not say it."""

    def write(self) -> Written:
        """The record."""
        return self.replica.encode(), orjson.dumps({"format": FORMAT, **asdict(self)}), []


def read_status(key: bytes | None, value: bytes | None) -> ReplicaStatus | None:
    """One record of the topic; None if the replica has stopped in order.

    Raises:
        InvalidValue: it is none that this version understands.
    """
    if value is None:
        return None
    try:
        status = _status(orjson.loads(value))
    except (KeyError, TypeError, ValueError, AttributeError):
        status = None
    if status is None or str(status.replica).encode() != key:
        raise InvalidValue(
            "is no status of a replica", "a newer hookstream wrote it: update this one"
        )
    return status


def _status(fields: Any) -> ReplicaStatus | None:
    """Raises `KeyError`, `TypeError`, `ValueError` or `AttributeError` if something is missing."""
    if fields["format"] != FORMAT:
        return None
    names = ReplicaStatus.__dataclass_fields__.keys() - {"problems", "disabled_hooks"}
    problems = [
        HookProblem(str(one["hook"]), str(one["message"]), int(one["revision"]))
        for one in fields["problems"]
    ]
    disabled = [str(hook) for hook in fields.get("disabled_hooks", ())]
    facts = {name: fields[name] for name in names}
    status = ReplicaStatus(**facts, problems=problems, disabled_hooks=disabled)
    return status if _is_well_formed(status) else None


def _is_well_formed(status: ReplicaStatus) -> bool:
    """Whether the fields have their types: another program may write anything."""
    texts = (status.replica, status.version, status.started_at, status.at)
    counts = (status.hooks, status.hooks_offset, status.problem_count, status.in_flight)
    return (
        all(isinstance(one, str) for one in texts)
        and all(isinstance(one, int) for one in (*counts, *status.lag.values()))
        and all(isinstance(one, int) for numbers in status.partitions.values() for one in numbers)
        and all(isinstance(one, int | float) for one in status.learned_rates.values())
        and all(isinstance(one, str) for one in status.open_circuits)
    )
