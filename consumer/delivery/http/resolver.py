"""Looks up the names of hosts, so that one whose name servers hang holds up nobody but itself.

`getaddrinfo` of the C library cannot be given up, and may take half a minute. libcurl and asyncio
have a few threads each for all names; while that many hang, no other name is looked up. Here each
name has a thread of its own while it is looked up, and never more than one.
"""

import asyncio
import math
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Addresses = tuple[str, ...]
"""Numeric ones, in the order in which the system would dial them (RFC 6724); at least one."""

OnResolved = Callable[[Addresses, str], None]
"""Takes the addresses; or none, and why, in the system's words."""

_FRESH = 60.0
"""Seconds in which a name is not looked up again, as in libcurl's own cache."""

_STALE = 300.0
"""Seconds in which its addresses are used while newer ones are looked up, and looked up again where
the servers do not answer: as long as a connection to them would be used.
"""

_AGAIN = 5.0
"""Seconds from a lookup that failed to the next, while there are addresses."""

_DOUBTED = 2.0
"""Seconds from a lookup to the next, if its addresses lead nowhere or were refused."""

_DOUBTED_WAIT = 1.0
"""Seconds that an attempt waits for that lookup before it tries the old addresses once more."""


class Resolver:
    """Used on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._names: dict[str, _Name] = {}

    def cached(self, host: str) -> Addresses:
        """What may be dialled at once; empty where it must be asked for."""
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
        """Call `found` once, later, however long it takes."""
        name = self._names.setdefault(host, _Name())
        name.waiting[found] = None
        self._look_up(host, name)
        if self._loop.time() <= name.until:
            self._loop.call_later(_DOUBTED_WAIT, self._fall_back, name, found)

    def doubt(self, host: str, *, usable: bool) -> None:
        """No connection to the addresses of a name came about: look it up again, but not within two
        seconds of the last time. What is sent from then on waits for that, for a second at most if
        the addresses are `usable`, as refused ones are not.
        """
        name = self._names.get(host)
        if name is None:
            return
        name.doubted = True
        name.next = min(name.next, name.answered + _DOUBTED)
        if not usable:
            name.until = min(name.until, name.next)
        elif self._loop.time() > name.next:
            self._look_up(host, name)

    def invalidate(self) -> None:
        """Look every name up again; what is asked for already is answered."""
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
        with suppress(RuntimeError):  # the loop is closed: nobody is left to hear
            self._loop.call_soon_threadsafe(self._settle, host, name, addresses, problem)

    def _fall_back(self, name: "_Name", found: OnResolved) -> None:
        """Use what there is: the name servers may be away, and most doubts are unfounded."""
        if found in name.waiting:
            del name.waiting[found]
            found(name.addresses, "")

    def _settle(self, host: str, name: "_Name", addresses: Addresses, problem: str) -> None:
        now = self._loop.time()
        name.under_way = name.doubted = False
        name.answered = now
        name.next = now + (_FRESH if addresses else _AGAIN)
        if addresses:
            name.addresses, name.until = addresses, now + _STALE
        elif now > name.until:
            self._names.pop(host, None)
        waiting, name.waiting = name.waiting, {}
        for found in waiting:
            found(addresses, problem)


class _Name:
    """What is known of one."""

    __slots__ = ("addresses", "answered", "doubted", "next", "under_way", "until", "waiting")

    def __init__(self) -> None:
        self.addresses: Addresses = ()
        self.answered = -math.inf
        """The loop's time when the last lookup ended, however it did."""
        self.doubted = False
        """Whether they were found to be of no use since."""
        self.next = 0.0
        """The loop's time before which they are not looked up again."""
        self.until = -math.inf
        """The loop's time until which they are used."""
        self.under_way = False
        self.waiting: dict[OnResolved, None] = {}
