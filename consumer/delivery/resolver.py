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

Found = Callable[[Addresses, str], None]
"""Takes the addresses; or none, and why, in the system's words."""

_FRESH = 60.0
"""Seconds in which a name is not looked up again, as in libcurl's own cache."""

_STALE = 300.0
"""Seconds in which its addresses are used while newer ones are looked up, and looked up again where
the servers do not answer: as long as a connection to them would be used.
"""

_AGAIN = 5.0
"""Seconds from a lookup that failed to the next, while there are addresses."""


class Resolver:
    """Used on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._names: dict[str, _Name] = {}

    def known(self, host: str) -> Addresses:
        """What may be dialled at once; empty where it must be asked for."""
        name = self._names.get(host)
        if name is None:
            return ()
        now = self._loop.time()
        if now > name.next:
            self._look_up(host, name)
        return name.addresses if now - name.since <= _STALE else ()

    def ask(self, host: str, found: Found) -> None:
        """Call `found` once, later, however long it takes."""
        name = self._names.setdefault(host, _Name())
        name.waiting.append(found)
        self._look_up(host, name)

    def forget(self) -> None:
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

    def _settle(self, host: str, name: "_Name", addresses: Addresses, problem: str) -> None:
        now = self._loop.time()
        name.under_way = False
        name.next = now + (_FRESH if addresses else _AGAIN)
        if addresses:
            name.addresses, name.since = addresses, now
        elif now - name.since > _STALE:
            self._names.pop(host, None)
        waiting, name.waiting = name.waiting, []
        for found in waiting:
            found(addresses, problem)


class _Name:
    """What is known of one."""

    __slots__ = ("addresses", "next", "since", "under_way", "waiting")

    def __init__(self) -> None:
        self.addresses: Addresses = ()
        self.since = -math.inf
        """The loop's time when they came."""
        self.next = 0.0
        """The loop's time before which they are not looked up again."""
        self.under_way = False
        self.waiting: list[Found] = []
