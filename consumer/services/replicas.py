"""The replicas that run, and whether the newest definitions are in force there."""

from dataclasses import dataclass
from datetime import datetime

from consumer.control.status import GONE_SECONDS, ReplicaStatus, read_status
from consumer.errors import InvalidValue
from consumer.records.record import Record


class StatusTable:
    """The newest status of each replica that did not stop in order."""

    def __init__(self) -> None:
        self._found: dict[bytes | None, ReplicaStatus] = {}

    def take(self, record: Record) -> None:
        """Take the next record of the topic."""
        self._found.pop(record.key, None)
        try:
            status = read_status(record.key, record.value)
        except InvalidValue:
            return  # of a newer version
        if status is not None:
            self._found[record.key] = status

    def clear(self) -> None:
        """Forget everything: the topic is read from its beginning."""
        self._found.clear()

    def running(self, now: float) -> list[ReplicaStatus]:
        """The replicas that told their status lately, by id; `now`: epoch seconds."""
        found = sorted(self._found.values(), key=lambda status: status.replica)
        return [one for one in found if now - _seconds(one.at) <= GONE_SECONDS]


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica that runs."""

    status: ReplicaStatus
    newest_offset: int
    """Of the definitions' topic; -1: it is empty."""

    @property
    def is_current(self) -> bool:
        """Whether it had applied the newest record when it last told its status."""
        return self.status.hooks_offset >= self.newest_offset


def _seconds(at: str) -> float:
    """Epoch seconds of an RFC 3339 time; 0 if it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0
