"""The circuit breaker of an endpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class CircuitState(StrEnum):
    """Closed: requests flow. Open: none. Half-open: one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When to open and for how long. Times in seconds."""

    window: float = 30.0
    """Failures and successes are counted over one to two of these."""
    min_volume: int = 20
    """Fewer attempts than this say nothing."""
    failure_ratio: float = 0.5
    open_for: float = 10.0
    """Wait before the first probe; doubled with each probe that fails."""
    open_at_most: float = 300.0


class Circuit:
    """Counts an endpoint's answers and says whether another attempt is worth its cost.

    Two windows, the running one and the one before it, stand for a sliding one: no list of
    attempts is kept. Times are monotonic seconds. `on_change` hears of each new state.
    """

    __slots__ = (
        "_failures", "_on_change", "_open_for", "_policy", "_probe_at", "_successes",
        "_window_end", "state",
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

    def wait(self, now: float) -> float:
        """Seconds until an attempt may be made; 0.0 where one may be made now."""
        if self.state is CircuitState.CLOSED:
            return 0.0
        if self.state is CircuitState.HALF_OPEN:
            return self._open_for
        return max(0.0, self._probe_at - now)

    def begin(self) -> bool:
        """Note an attempt that `wait` allowed; True where it is the probe of an open circuit."""
        if self.state is CircuitState.CLOSED:
            return False
        self._become(CircuitState.HALF_OPEN)
        return True

    def retract(self, now: float) -> None:
        """Let another probe take the place of one whose answer says nothing."""
        self._probe_at = now
        self._become(CircuitState.OPEN)

    def record(self, *, ok: bool, probe: bool, now: float) -> None:
        """Count an answer; while not closed, only the probe's says anything new."""
        if self.state is not CircuitState.CLOSED:
            if not probe:
                return
            if ok:
                self._close()
            else:
                self._open_for = min(self._open_for * 2, self._policy.open_at_most)
                self._open(now)
            return
        self._roll(now)
        (self._successes if ok else self._failures)[0] += 1
        if not ok and self._is_failing():
            self._open(now)

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

    def _close(self) -> None:
        self._failures, self._successes = [0, 0], [0, 0]
        self._open_for = self._policy.open_for
        self._become(CircuitState.CLOSED)

    def _become(self, state: CircuitState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(state)
