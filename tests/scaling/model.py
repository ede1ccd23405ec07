"""Replicas as queues: what they take of their partitions in steps of some seconds."""

from collections import deque
from dataclasses import dataclass, field

from consumer.wanted_replicas import Look, WantedReplicas
from scaling.load import Days
from scaling.scalers import PERIOD_SECONDS, Autoscaler, Metric, wanted_replicas

STEP_SECONDS = 5
CAPACITY = 1_000.0
"""Records a second that keep a replica busy all the time."""
IDLE_BUSY = 0.02
"""Share of its time that a replica needs without a record."""
START_SECONDS = 40
"""From the scaler's decision to the first record that a new replica takes."""
FLAP_SECONDS = 600
REBALANCE_SECONDS = 5
"""Time in which no partition that moves is read."""


@dataclass(slots=True)
class Replica:
    """One replica: its partitions, and what it knows of itself."""

    begins: float
    partitions: list[int] = field(default_factory=list)
    wanted: WantedReplicas = field(default_factory=WantedReplicas)


@dataclass(slots=True)
class Tally:
    """What became of some days."""

    changes: int = 0
    """Changes of the number of replicas."""
    flaps: int = 0
    """Changes that were taken back within ten minutes."""
    most: int = 0
    replica_seconds: float = 0.0
    worst_wait: float = 0.0
    """Seconds that the newest event of a source waited, at most."""
    late_seconds: float = 0.0
    """Time in which that was more than a minute."""


class Installation:
    """The replicas of one group, their source topics and their own topics."""

    def __init__(self, load: Days, metric: Metric, *, partitions: int = 24, most: int = 24) -> None:
        """`partitions`: of the source topics; `most`: replicas."""
        self.partitions = partitions
        self._load = load
        self._scaler = Autoscaler(metric, 1, most)
        self._looks = metric is wanted_replicas
        # One partition has twice the events of another one, at most.
        weights = [0.67 + 0.66 * number / (partitions - 1) for number in range(partitions)]
        self._shares = [weight / sum(weights) * STEP_SECONDS for weight in weights]
        self._unread = [0.0] * partitions
        self._arrived = [0.0] * partitions
        self._replicas = [Replica(0.0)]
        self._number = 1
        self._assigned = 1
        self._paused_until = 0.0
        self._dead = 0.0
        """Records of the endpoint that was dead, in the overflow topic."""
        self._limited = 0.0
        """Records of the hook with a rate limit, in the overflow topic."""
        self._retries: deque[float] = deque([0.0] * (load.RETRY_SECONDS // STEP_SECONDS))
        """Records of the retry topic, by the step in which they are due."""
        self._last_change = (float("-inf"), 0)
        self.tally = Tally()
        self._assign(0.0)

    @property
    def shares(self) -> float:
        """See `Seen.shares`."""
        return sum(replica.wanted.value for replica in self._replicas)

    @property
    def source_lag(self) -> float:
        """See `Seen.source_lag`."""
        return sum(self._unread)

    @property
    def group_lag(self) -> float:
        """See `Seen.group_lag`."""
        return self.source_lag + self._dead + self._limited + sum(self._retries)

    def run(self) -> Tally:
        """Let the load's days pass."""
        for now in range(0, self._load.seconds, STEP_SECONDS):
            self._step(float(now))
            if now % PERIOD_SECONDS == 0:
                self._scale(float(now))
        return self.tally

    def _scale(self, now: float) -> None:
        number = self._scaler.decide(self, self._number)
        if number == self._number:
            return
        direction = 1 if number > self._number else -1
        changed_at, before = self._last_change
        self.tally.changes += 1
        self.tally.flaps += direction == -before and now - changed_at < FLAP_SECONDS
        self._last_change = (now, direction)
        del self._replicas[number:]
        while len(self._replicas) < number:
            self._replicas.append(Replica(now + START_SECONDS))
        self._number = number

    def _assign(self, now: float) -> None:
        """Divide the partitions evenly among the replicas that run."""
        running = [replica for replica in self._replicas if replica.begins <= now]
        for number, replica in enumerate(running):
            replica.partitions = list(range(number, self.partitions, len(running)))
        self._assigned = len(running)

    def _step(self, now: float) -> None:
        running = [replica for replica in self._replicas if replica.begins <= now]
        if len(running) != self._assigned:
            self._assign(now)
            self._paused_until = now + REBALANCE_SECONDS
        rate = self._load.rate(now)
        self._arrived = [rate * share for share in self._shares]
        self._unread = [sum(both) for both in zip(self._unread, self._arrived, strict=True)]
        deferred = self._due(now)
        taken = 0.0
        for replica in running:
            is_paused = now < self._paused_until
            taken += self._work(replica, deferred / len(running), is_paused=is_paused)
        self._route(taken, now)
        self._count(rate)

    def _due(self, now: float) -> float:
        """Take what may be sent out of the retry topic and the overflow topic."""
        drained = 0.0
        if not self._load.is_dead(now):
            drained = min(self._dead, self._load.DRAIN_RATE * STEP_SECONDS)
            self._dead -= drained
        allowed = min(self._limited, self._load.LIMITED_RATE * STEP_SECONDS)
        self._limited -= allowed
        return drained + allowed + self._retries.popleft()

    def _work(self, replica: Replica, deferred: float, *, is_paused: bool) -> float:
        """Let a replica work for a step; returns the events that it took."""
        waiting = sum(self._unread[partition] for partition in replica.partitions)
        capacity = CAPACITY * STEP_SECONDS * (1.0 - IDLE_BUSY)
        taken = 0.0 if is_paused else max(0.0, min(waiting, capacity - deferred))
        left = 1.0 - taken / waiting if waiting else 1.0
        for partition in replica.partitions:
            self._unread[partition] *= left
        if not self._looks:
            return taken
        busy = min(1.0, IDLE_BUSY + (taken + deferred) / CAPACITY / STEP_SECONDS)
        replica.wanted.note(
            Look(
                seconds=STEP_SECONDS,
                busy=busy,
                taken=int(taken),
                arrived=int(sum(self._arrived[partition] for partition in replica.partitions)),
                deferred=int(deferred),
                unread=int(waiting - taken),
                partitions=len(replica.partitions),
            )
        )
        return taken

    def _route(self, taken: float, now: float) -> None:
        """Put into own topics what cannot be delivered at once."""
        load = self._load
        if load.is_dead(now) or self._dead:
            self._dead += taken * load.DEAD_SHARE
        self._limited += taken * load.LIMITED_SHARE
        self._retries.append(taken * load.FAILED_SHARE)

    def _count(self, rate: float) -> None:
        tally = self.tally
        tally.most = max(tally.most, self._number)
        tally.replica_seconds += self._number * STEP_SECONDS
        wait = self.source_lag / max(rate, 1.0)
        tally.worst_wait = max(tally.worst_wait, wait)
        tally.late_seconds += STEP_SECONDS if wait > 60.0 else 0.0
