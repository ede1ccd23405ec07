"""Looks up host names. A name whose name servers hang delays no other name.

`getaddrinfo` of the C library cannot be cancelled, and may take half a minute. libcurl and asyncio
have a few threads each for all names; while that many hang, no other name is looked up. Here each
lookup has a thread of its own, and a name never more than one at a time.
"""

import asyncio
import math
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Addresses = tuple[str, ...]
"""Numeric addresses in the order in which the system would dial them (RFC 6724)."""

OnResolved = Callable[[Addresses, str], None]
"""Takes the addresses; if there are none, also the reason in the system's words."""

_FRESH_SECONDS = 60.0
"""Time in which a name is not looked up again, as in libcurl's own cache."""

_STALE_SECONDS = 300.0
"""Time in which addresses are used while newer ones are looked up, as long as the lifetime of a
connection.
"""

_FAILED_RETRY_SECONDS = 5.0
"""Time from a failed lookup to the next, while there are addresses."""

_DOUBTED_RETRY_SECONDS = 2.0
"""Time from a lookup to the next if no connection to its addresses could be made."""

_MAX_DOUBTED_WAIT_SECONDS = 1.0
"""Time for which an attempt waits for that lookup before it tries the old addresses again."""


class Resolver:
    """Resolves host names and caches their addresses. Used on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._names: dict[str, _Name] = {}

    def cached(self, host: str) -> Addresses:
        """The addresses that may be dialled at once; empty if `resolve` must be called."""
        name = self._names.get(host)
        if name is None:
            return ()
        now = self._loop.time()
        if now > name.next:
            self._look_up(host, name)
            if name.doubted:
                return ()
        return name.addresses if now <= name.until else ()

    def resolve(self, host: str, found: OnResolved) -> None:
        """Look `host` up, and call `found` once, later, without a time limit."""
        name = self._names.setdefault(host, _Name())
        name.waiting[found] = None
        self._look_up(host, name)
        if self._loop.time() <= name.until:
            self._loop.call_later(_MAX_DOUBTED_WAIT_SECONDS, self._fall_back, name, found)

    def doubt(self, host: str, *, usable: bool) -> None:
        """Look `host` up again, at most every two seconds, since no connection to its addresses
        could be made. Later attempts wait for that: for a second at most if the addresses are
        `usable`, which addresses that the guard refused are not.
        """
        name = self._names.get(host)
        if name is None:
            return
        name.doubted = True
        name.next = min(name.next, name.answered + _DOUBTED_RETRY_SECONDS)
        if not usable:
            name.until = min(name.until, name.next)
        elif self._loop.time() > name.next:
            self._look_up(host, name)

    def invalidate(self) -> None:
        """Look every name up again; requests that wait are answered."""
        self._names = {}

    def _look_up(self, host: str, name: "_Name") -> None:
        if name.under_way:
            return
        name.under_way = True
        # A daemon thread: it may still hang when the process ends.
        thread = threading.Thread(target=self._run, args=(host, name), name="lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system's limit of threads
            self._loop.call_soon(self._settle, host, name, (), str(error))

    def _run(self, host: str, name: "_Name") -> None:
        addresses: Addresses = ()
        problem = "the name has no address"
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(info[4][0]) for info in infos))
        except UnicodeError:
            problem = "not a name that can be looked up"
        except OSError as error:
            problem = error.strerror or type(error).__name__
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._settle, host, name, addresses, problem)

    def _fall_back(self, name: "_Name", found: OnResolved) -> None:
        """Use the old addresses: the name servers may be down, and the addresses may be right."""
        if found in name.waiting:
            del name.waiting[found]
            found(name.addresses, "")

    def _settle(self, host: str, name: "_Name", addresses: Addresses, problem: str) -> None:
        now = self._loop.time()
        name.under_way = name.doubted = False
        name.answered = now
        name.next = now + (_FRESH_SECONDS if addresses else _FAILED_RETRY_SECONDS)
        if addresses:
            name.addresses, name.until = addresses, now + _STALE_SECONDS
        elif now > name.until:
            self._names.pop(host, None)
        waiting, name.waiting = name.waiting, {}
        for found in waiting:
            found(addresses, problem)


class _Name:
    """The cached state of one host name."""

    __slots__ = ("addresses", "answered", "doubted", "next", "under_way", "until", "waiting")

    def __init__(self) -> None:
        self.addresses: Addresses = ()
        self.answered = -math.inf
        """The loop's time at which the last lookup ended."""
        self.doubted = False
        """Whether a connection to the addresses failed since."""
        self.next = 0.0
        """The loop's time before which the name is not looked up again."""
        self.until = -math.inf
        """The loop's time until which the addresses are used."""
        self.under_way = False
        self.waiting: dict[OnResolved, None] = {}
