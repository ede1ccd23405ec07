"""Exponential backoff with jitter."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from consumer.backoff import doubled

FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 2.0
"""Short, so that a client reconnects soon after its broker is back."""
_JITTER_RATIO = 0.2

Address = tuple[str, int]
"""Host and port."""


def pause_after(failures: int, chance: float) -> float:
    """Seconds to wait after `failures` in a row (at least 1); `chance` is from [0, 1)."""
    pause = doubled(failures, FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS)
    return pause * (1 - _JITTER_RATIO + 2 * _JITTER_RATIO * chance)


@dataclass(slots=True)
class _Failures:
    """Consecutive failures of one address."""

    count: int = 0
    until: float = 0.0
    kinds: set[str] = field(default_factory=set)


class Unreachable(Collection[Address]):
    """Addresses whose last connection attempt failed, and the backoff of each."""

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
        """Note a failure; true for the first one of its `kind` since the last success."""
        failures = self._failures.setdefault(address, _Failures())
        failures.count += 1
        failures.until = self._now() + pause_after(failures.count, self._chance())
        known = kind in failures.kinds
        failures.kinds.add(kind)
        return not known

    def discard(self, address: Address) -> None:
        """Note that `address` was reached."""
        self._failures.pop(address, None)

    def retain(self, addresses: Collection[Address]) -> None:
        """Forget all addresses except `addresses`."""
        for address in [known for known in self._failures if known not in addresses]:
            del self._failures[address]

    def backs_off(self, address: Address) -> bool:
        """Whether it is too early for another attempt at `address`."""
        failures = self._failures.get(address)
        return failures is not None and self._now() < failures.until
