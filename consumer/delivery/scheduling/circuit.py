"""The circuit breaker of an endpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CircuitState(StrEnum):
    """Closed: requests flow. Open: none. Half-open: one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """The conditions under which a circuit opens, and for how long. Times in seconds."""

    window: float = 30.0
    """Failures and successes are counted over one to two of these."""
    min_volume: int = 20
    """Results that are needed before failures open the circuit; rejections in a row after a 2xx
    that open it."""
    failure_ratio: float = 0.5
    open_for: float = 10.0
    """Wait before the first probe; doubled with each probe that fails."""
    open_at_most: float = 300.0


_MAX_COUNTED_2XX: Final = 32
"""2xx over which the mean number of answers for each is taken."""
_NEGLIGIBLE_ANSWERS_PER_2XX: Final = 1.05
"""So few answers for each 2xx count as one."""


class Circuit:
    """A circuit breaker: counts an endpoint's answers and says when the next attempt may be made.

    Failures, which may pass by themselves, open it by their share of the answers. Two windows, the
    running one and the one before it, stand for a sliding one; no list of attempts is kept.

    Rejections (statuses that no repetition changes) open it if they follow a 2xx without another
    between them: then the receiver has changed, not the events. Some receivers reject many events
    by design, so the run must be `min_volume` times as long as usual: by chance that happens once
    in e^20 times. Before the first 2xx a receiver that has changed cannot be told from a definition
    that is wrong.

    Times are monotonic seconds. `on_change` is called with each new state.
    """

    __slots__ = (
        "_accepted", "_failures", "_on_change", "_open_for", "_policy", "_probe_at", "_run",
        "_successes", "_usual", "_window_end", "state",
    )  # fmt: skip

    def __init__(self, policy: CircuitPolicy, on_change: Callable[[CircuitState], None]) -> None:
        self._policy = policy
        self._on_change = on_change
        self.state = CircuitState.CLOSED
        self._failures = [0, 0]
        self._successes = [0, 0]
        self._window_end = 0.0
        self._open_for = policy.open_for
        self._probe_at = 0.0
        self._accepted = 0
        """2xx so far, up to `_MAX_COUNTED_2XX`."""
        self._run = 0
        """Rejections since the last 2xx."""
        self._usual = 1.0
        """Mean number of answers for each 2xx, rejections included."""

    def __repr__(self) -> str:
        return (
            f"Circuit({self.state}, failures={sum(self._failures)}, "
            f"successes={sum(self._successes)}, rejections in a row={self._run})"
        )

    @property
    def refuses(self) -> bool:
        """Whether the receiver rejects what it took a moment ago, so that its rejections say
        nothing about the deliveries. True only while the circuit is not closed.
        """
        return self._accepted > 0 and self._run >= int(self._policy.min_volume * self._usual)

    def wait(self, now: float) -> float:
        """Seconds until an attempt may be made; 0.0 if one may be made now."""
        if self.state is CircuitState.CLOSED:
            return 0.0
        if self.state is CircuitState.HALF_OPEN:
            return self._open_for
        return max(0.0, self._probe_at - now)

    def answers_per_second(self, now: float) -> float:
        """The rate of the answers that were no failures, or less: over two windows, even if the
        first answer came later.
        """
        if now >= self._window_end + self._policy.window:
            return 0.0
        return sum(self._successes) / (2 * self._policy.window)

    def begin(self) -> bool:
        """Note an attempt that `wait` allowed; true if it is the probe of an open circuit."""
        if self.state is CircuitState.CLOSED:
            return False
        self._become(CircuitState.HALF_OPEN)
        return True

    def retract(self, now: float) -> None:
        """Allow another probe `now`, since the answer to the last one says nothing."""
        self._probe_at = now
        self._become(CircuitState.OPEN)

    def trust(self) -> None:
        """Count a 2xx that an earlier process had, as the cause of a deferred delivery says."""
        self._accepted = max(1, self._accepted)

    def accepted(self, *, probe: bool, now: float) -> None:
        """Count a 2xx."""
        refused = False
        if self._run or self._accepted < _MAX_COUNTED_2XX or self._usual > 1.0:
            refused = self.refuses
            self._learn()
        if self.state is CircuitState.CLOSED:
            self._roll(now)
            self._successes[0] += 1
        elif probe or (refused and self.state is CircuitState.OPEN):
            # A late 2xx says as well that not everything is rejected.
            self._close()

    def rejected(self, *, probe: bool, now: float) -> None:
        """Count an answer that no repetition changes."""
        self._run += 1
        if self.state is CircuitState.CLOSED:
            self._roll(now)
            self._successes[0] += 1  # the endpoint does not fail
            if self.refuses:
                self._open(now)
        elif probe:
            self._answered_probe(now)

    def answered(self, *, probe: bool, now: float) -> None:
        """Count an answer that says nothing about the next one."""
        if self.state is CircuitState.CLOSED:
            self._roll(now)
            self._successes[0] += 1
        elif probe:
            self._answered_probe(now)

    def failed(self, *, probe: bool, now: float) -> None:
        """Count a failure; unless the circuit is closed, only the probe's counts."""
        if self.state is CircuitState.CLOSED:
            self._roll(now)
            self._failures[0] += 1
            if self._is_failing():
                self._open(now)
        elif probe:
            self._open_again(now)

    def _answered_probe(self, now: float) -> None:
        if self.refuses:
            self._open_again(now)
        else:
            self._close()

    def _learn(self) -> None:
        """Learn the number of answers for this 2xx. A run that opened the circuit was unusual, and
        counts twice the usual at most.
        """
        answers = 1.0
        if self._accepted:
            answers += self._run
        if self.refuses:
            answers = min(answers, 2 * self._usual)
        self._accepted = min(self._accepted + 1, _MAX_COUNTED_2XX)
        self._usual += (answers - self._usual) / self._accepted
        if self._usual < _NEGLIGIBLE_ANSWERS_PER_2XX:
            self._usual = 1.0
        self._run = 0

    def _is_failing(self) -> bool:
        failures = sum(self._failures)
        volume = failures + sum(self._successes)
        policy = self._policy
        return volume >= policy.min_volume and failures >= policy.failure_ratio * volume

    def _roll(self, now: float) -> None:
        if now < self._window_end:
            return
        idle = now >= self._window_end + self._policy.window
        for counts in (self._failures, self._successes):
            counts[1] = 0 if idle else counts[0]
            counts[0] = 0
        self._window_end = now + self._policy.window

    def _open(self, now: float) -> None:
        self._probe_at = now + self._open_for
        self._become(CircuitState.OPEN)

    def _open_again(self, now: float) -> None:
        self._open_for = min(self._open_for * 2, self._policy.open_at_most)
        self._open(now)

    def _close(self) -> None:
        self._failures, self._successes = [0, 0], [0, 0]
        self._open_for = self._policy.open_for
        self._become(CircuitState.CLOSED)

    def _become(self, state: CircuitState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(state)
