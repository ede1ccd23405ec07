"""Bounds failed log-ins: for each address, and in all."""

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address
from typing import Final

ADDRESS_FAILURES: Final = 10
"""Failures of one address that are allowed at once; one more after each `ADDRESS_SECONDS`."""
ADDRESS_SECONDS: Final = 30.0
ALL_FAILURES: Final = 200
"""Failures of all addresses that are allowed at once; one more after each `ALL_SECONDS`."""
ALL_SECONDS: Final = 1.0
KNOWN_SECONDS: Final = 12 * 3600.0
"""How long an address that logged in is not held up by the failures of others."""
_MAX_ADDRESSES: Final = 10_000
_IPV6_PREFIX: Final = 64
"""Bits: a client that has one address of such a network has all of them."""


class _Bucket:
    """A token bucket of failures; times are monotonic seconds."""

    __slots__ = ("_at", "_interval", "_left", "_size")

    def __init__(self, size: int, interval: float, now: float) -> None:
        self._size = size
        self._interval = interval
        self._left = float(size)
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until another failure is allowed; 0: now."""
        left = min(self._size, self._left + (now - self._at) / self._interval)
        return max(0.0, (1.0 - left) * self._interval)

    def fail(self, now: float) -> None:
        self._left = min(self._size, self._left + (now - self._at) / self._interval) - 1.0
        self._at = now


class FailedLogIns:
    """Who may try to log in. Its memory is bounded, and nothing breaks if it is lost."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()
        self._all = _Bucket(ALL_FAILURES, ALL_SECONDS, 0.0)

    def wait(self, address: IPv4Address | IPv6Address, now: float) -> float:
        """Seconds that a log-in from `address` must wait; 0: it may be tried now (monotonic)."""
        name = network_name(address)
        bucket = self._buckets.get(name)
        own = bucket.wait(now) if bucket is not None else 0.0
        if now - self._known.get(name, float("-inf")) < KNOWN_SECONDS:
            return own
        return max(own, self._all.wait(now))

    def failed(self, address: IPv4Address | IPv6Address, now: float) -> None:
        """Note a failed log-in."""
        name = network_name(address)
        bucket = self._buckets.pop(name, None) or _Bucket(ADDRESS_FAILURES, ADDRESS_SECONDS, now)
        bucket.fail(now)
        self._all.fail(now)
        self._buckets[name] = bucket
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)

    def succeeded(self, address: IPv4Address | IPv6Address, now: float) -> None:
        """Note a log-in."""
        name = network_name(address)
        self._known.pop(name, None)
        self._known[name] = now
        if len(self._known) > _MAX_ADDRESSES:
            self._known.popitem(last=False)


def network_name(address: IPv4Address | IPv6Address) -> str:
    """What one client may have: an IPv4 address, or an IPv6 network of 64 bits."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(int(address) >> (128 - _IPV6_PREFIX))
