"""What the oracle knows of one delivery, and of one record of the overflow topic."""

from aiokafka import TopicPartition

from consumer.reasons import Reason
from simulation.replica import EXPIRE_AFTER


class Line:
    """Deliveries of one user's events to one hook, in the order of their partition."""

    __slots__ = ("fates", "is_ordered")

    def __init__(self, *, is_ordered: bool = False) -> None:
        self.is_ordered = is_ordered
        self.fates: list[Fate] = []

    def first_before(self, fate: "Fate") -> "Fate | None":
        """The first delivery without an end that stands before `fate`."""
        for each in self.fates:
            if each is fate:
                return None
            if not each.over:
                return each
        return None


class Fate:
    """What happened to one delivery."""

    __slots__ = (
        "answered", "attempts", "dead", "doubt", "hook", "id", "line", "live", "produced_at",
        "queued", "statuses", "writes",
    )  # fmt: skip

    def __init__(self, id: str, hook: str, produced_at: float, queued: int) -> None:
        self.id = id
        self.hook = hook
        self.produced_at = produced_at
        self.line = Line()
        """Those that it keeps an order with."""
        self.queued = queued
        """Deliveries of the same hook that were without an end then."""
        self.answered = 0
        """2xx."""
        self.attempts = 0
        self.statuses: set[int] = set()
        self.dead = ""
        """The reason of its dead letter."""
        self.doubt = ""
        """Why it may be delivered or written twice."""
        self.live = 0
        """Records that carry it and are not settled in the commits."""
        self.writes = 0
        """To the overflow topic since the last attempt."""

    @property
    def over(self) -> bool:
        """Whether it has an end."""
        return bool(self.answered or self.dead)

    def deserves(self, reason: Reason, max_attempts: int, lonely: float) -> bool:
        """Whether `reason` is right for its dead letter. `lonely`: seconds since a delivery of its
        hook last succeeded.
        """
        rejected = any(400 <= status < 500 for status in self.statuses)
        match reason:
            case Reason.PERMANENT:
                return rejected
            case Reason.EXHAUSTED:
                return self.attempts >= max_attempts
            case Reason.EXPIRED:
                # Of a receiver that rejects everything nothing is given up, and only another
                # delivery could tell that it rejects this one alone.
                return rejected and lonely > EXPIRE_AFTER / 2
            case _:
                return False


class Waiting:
    """A record of the overflow topic and whether its delivery was attempted since."""

    __slots__ = ("attempted", "fate", "offset", "tp", "written_at")

    def __init__(self, fate: Fate, tp: TopicPartition, offset: int, written_at: float) -> None:
        self.fate = fate
        self.written_at = written_at
        self.tp = tp
        self.offset = offset
        self.attempted = False
