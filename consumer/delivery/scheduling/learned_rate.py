"""The rate that a receiver takes, as its answers of 429 tell."""

from math import inf, log
from typing import Final

FIRST_REQUESTS_PER_SECOND: Final = 10.0
"""Rate after the first refusal, if nothing is known."""
_SEARCH_GROWTH: Final = log(2)
"""Requests a second that each accepted request adds while the rate is searched: it doubles each
second."""
_CURVATURE: Final = 0.0006
"""Growth of a known rate is exp(`_CURVATURE` * t**2) after t seconds: 3 % in seven seconds, tenfold
in a minute."""
_MAX_STEP_SECONDS: Final = 1.0
"""Time that one accepted request counts as at most, so that a low rate is not raised each time."""
_MAX_GROWTH: Final = 0.1
"""Part by which one accepted request raises a known rate at most."""
_PAUSES_AT_ONE_RATE: Final = 5.0
"""A known rate does not grow before so many times the last pause: a test of it costs another."""

_DECREASE: Final = 0.9
"""What a refusal leaves of a rate that was taken for `_STEADY_SECONDS`."""
_LONG_PAUSE_DECREASE: Final = 0.8
_LONG_PAUSE_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 10.0
_SEARCH_DECREASE: Final = 0.6
"""What a refusal leaves of a rate that was searched: it may have grown by half since the receiver
had enough of it, and the receiver's burst let it grow further."""
_MEASURED_PART: Final = 0.95
_MIN_DECREASE: Final = 0.5
"""A measurement lowers the rate no further at once, unless it is of a few requests."""
_FEW_REQUESTS: Final = 10
"""A rate at which fewer were accepted is no rate yet: only the measurement counts."""
_FEW_MIN_DECREASE: Final = 0.1

_PAUSE_SECONDS: Final = 1.0
"""Pause after a refusal that names no time."""
MAX_BACKOFF_SECONDS: Final = 60.0
"""Longest pause that refusals without an accepted request between them lead to."""
_MIN_BACKOFF_PER_SECOND: Final = 1.0
"""Such refusals lower the rate no further; only the pause grows."""
_CATCH_UP_SECONDS: Final = 0.01
"""Requests that are late because of a late timer are caught up with for so long. A lower rate than
one request in this time has no bursts, however small."""
_FORGOTTEN_AFTER_SECONDS: Final = 600.0
_EPSILON_SECONDS: Final = 1e-6
"""A shorter wait is an error of floating point."""


class LearnedRate:
    """A rate limit that nobody configured, found by additive increase, multiplicative decrease.

    It is made at the first refusal, which says only that there is a limit: the rate is searched
    from a low one, which doubles each second. Each refusal lowers it. Between two refusals the
    receiver used up all that it gave, so what was accepted in that time, the pause included, is
    its rate, whether it has a token bucket or windows. A rate that was found grows slowly at first
    and then faster and faster, so that it stays close to the limit and follows one that rises.

    Refusals of attempts that began before the pause are one refusal. Rates are requests a second
    of this replica; times are monotonic seconds.
    """

    __slots__ = (
        "_accepted", "_arrival", "_busy", "_busy_at", "_hold", "_interval", "_is_limiting",
        "_is_searching", "_refused_at", "_resumes_at", "_useless_pauses",
    )  # fmt: skip

    def __init__(self, now: float, first: float = FIRST_REQUESTS_PER_SECOND) -> None:
        """`first`: the rate to begin with."""
        self._interval = 1.0 / first
        self._arrival = now
        """Time from which the next request may go."""
        self._is_searching = True
        self._is_limiting = False
        """Whether the last request went as soon as the rate allowed it."""
        self._refused_at = self._resumes_at = -inf
        """Begin and end of the last pause."""
        self._accepted = 0
        """Accepted requests since then."""
        self._useless_pauses = 0
        """Pauses in a row after which nothing was accepted."""
        self._busy = 0.0
        """Seconds for which the rate limited the requests since the last pause."""
        self._busy_at = now
        """Time at which it last did."""
        self._hold = 0.0

    def __repr__(self) -> str:
        return (
            f"LearnedRate({self.per_second:.3g} a second, next at {self._arrival:.3f}, "
            f"accepted={self._accepted}{', searching' * self._is_searching})"
        )

    @property
    def interval(self) -> float:
        """Seconds between two requests."""
        return self._interval

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return 1.0 / self._interval

    def is_over(self, now: float) -> bool:
        """Whether the rate has limited nothing for so long that it is to be forgotten."""
        return now - max(self._busy_at, self._resumes_at) > _FORGOTTEN_AFTER_SECONDS

    def wait(self, now: float) -> float:
        """Seconds until a request may go; 0.0 if it may go now."""
        wait = self._arrival - max(0.0, _CATCH_UP_SECONDS - self._interval) - now
        return wait if wait > _EPSILON_SECONDS else 0.0

    def take(self, now: float) -> None:
        """Count a request that goes now; only after `wait` returned 0.0."""
        self._is_limiting = now < self._arrival + 0.1 + self._interval / 2
        if self._is_limiting:
            self._busy_at = now
        self._arrival = max(self._arrival, now) + self._interval

    def accepted(self) -> None:
        """Count a request that the receiver took. The rate grows if it was the limit."""
        self._accepted += 1
        if not self._is_limiting:
            return
        if self._is_searching:
            growth = min(1.0, _SEARCH_GROWTH * self._interval)
        else:
            step = min(self._interval, _MAX_STEP_SECONDS)
            self._busy += step
            growing = max(0.0, self._busy - self._hold)
            growth = min(_MAX_GROWTH, 2 * _CURVATURE * growing * step)
        self._interval /= 1.0 + growth

    def refused(self, began: float, now: float, asked: float) -> None:
        """Lower the rate and pause, since an attempt that began at `began` was refused `now`.

        `asked`: seconds of pause that the receiver asked for; 0.0 if it named none.
        """
        if began < self._resumes_at:
            return
        if self._accepted:
            self._useless_pauses = 0
            self._interval /= self._decrease(now, asked)
            self._is_searching = False
        elif self._refused_at > -inf:
            self._useless_pauses += 1
            self._interval = max(
                self._interval, min(2 * self._interval, 1 / _MIN_BACKOFF_PER_SECOND)
            )
            self._is_searching = True
        pause = asked or _PAUSE_SECONDS
        if self._useless_pauses:
            backoff = _PAUSE_SECONDS * 2.0 ** min(self._useless_pauses, 10)
            pause = max(pause, min(backoff, MAX_BACKOFF_SECONDS))
        self._refused_at, self._resumes_at = now, now + pause
        self._arrival = now + max(pause, self._interval)
        self._accepted = 0
        self._busy = 0.0
        self._hold = _PAUSES_AT_ONE_RATE * pause

    def _decrease(self, now: float, asked: float) -> float:
        """What a refusal leaves of the rate, as a part of it."""
        most = _DECREASE if asked <= _LONG_PAUSE_SECONDS else _LONG_PAUSE_DECREASE
        measured = _MEASURED_PART * self._accepted / (now - self._refused_at) * self._interval
        if self._accepted < _FEW_REQUESTS:
            return min(max(measured, _FEW_MIN_DECREASE), most)
        if self._is_searching:
            return _SEARCH_DECREASE
        if self._busy > _STEADY_SECONDS:
            return most
        return min(max(measured, _MIN_DECREASE), most)
