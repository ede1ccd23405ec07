"""Pauses between attempts that fail: exponential, with jitter."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds. Short: a client is back within this after its broker."""
_JITTER = 0.2
_MOST = 10
"""Failures after which the pause grows no more: well below the bounds of a float."""

Address = tuple[str, int]
"""Host and port."""


def pause_after(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row (at least 1); `chance` is from [0, 1)."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (min(failures, _MOST) - 1))
    return pause * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(slots=True)
class _Failures:
    """Of one address, in a row."""

    count: int = 0
    until: float = 0.0
    kinds: set[str] = field(default_factory=set)


class Unreachable(Collection[Address]):
    """Addresses that could not be reached the last time, and until when each is left alone."""

    def __init__(self, now: Callable[[], float], chance: Callable[[], float]) -> None:
        self._now = now
        self._chance = chance
        self._failures: dict[Address, _Failures] = {}

    def __len__(self) -> int:
        return len(self._failures)

    def __iter__(self) -> Iterator[Address]:
        return iter(self._failures)

    def __contains__(self, address: object) -> bool:
        return address in self._failures

    def add(self, address: Address, kind: str) -> bool:
        """Note a failure; true if it is the first one of its kind in a row."""
        failures = self._failures.setdefault(address, _Failures())
        failures.count += 1
        failures.until = self._now() + pause_after(failures.count, self._chance())
        known = kind in failures.kinds
        failures.kinds.add(kind)
        return not known

    def discard(self, address: Address) -> None:
        """It was reached."""
        self._failures.pop(address, None)

    def retain(self, addresses: Collection[Address]) -> None:
        """Forget all others."""
        for address in [known for known in self._failures if known not in addresses]:
            del self._failures[address]

    def rests(self, address: Address) -> bool:
        """Whether it is too early for another attempt."""
        failures = self._failures.get(address)
        return failures is not None and self._now() < failures.until
