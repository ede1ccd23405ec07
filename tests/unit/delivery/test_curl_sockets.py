"""The engine's epoll: it outlives libcurl's short memory, and never believes an old number."""

import os
import select
import socket
from collections.abc import Iterator

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants
import pytest

from consumer.delivery.curl_engine import Engine
from consumer.delivery.curl_sockets import Sockets
from consumer.delivery.guard import Policy


@pytest.fixture
def waker() -> Iterator[int]:
    """An eventfd, as the transport gives it."""
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    yield fd
    os.close(fd)


@pytest.fixture
def sockets(waker: int) -> Iterator[Sockets]:
    """With nothing registered but the waker."""
    sockets = Sockets(waker)
    yield sockets
    sockets.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours, and the peer's end."""
    ours, peer = socket.socketpair()
    with ours, peer:
        yield ours, peer


Pair = tuple[socket.socket, socket.socket]


def change(sockets: Sockets, what: int, ours: socket.socket) -> None:
    """As libcurl calls it."""
    sockets.change(what, ours.fileno(), None, None)


def test_waker_wakes_each_time(sockets: Sockets, waker: int) -> None:
    """Every write ends a wait, once, though nobody reads the counter."""
    for _ in range(3):
        assert sockets.wait(0) == []
        os.eventfd_write(waker, 1)
        assert sockets.wait(0) == [(waker, select.EPOLLIN)]


def test_interest_is_followed(sockets: Sockets, pair: Pair) -> None:
    """Reading, writing, both, reading again."""
    ours, peer = pair
    peer.send(b"x")
    for what, events in (
        (pycurl.POLL_OUT, select.EPOLLOUT),
        (pycurl.POLL_INOUT, select.EPOLLIN | select.EPOLLOUT),
        (pycurl.POLL_IN, select.EPOLLIN),
    ):
        change(sockets, what, ours)
        assert sockets.wait(0) == [(ours.fileno(), events)]


def test_dropped_socket_comes_back(sockets: Sockets, pair: Pair) -> None:
    """Dropped and wanted again, as with each request: it still speaks."""
    ours, peer = pair
    change(sockets, pycurl.POLL_IN, ours)
    change(sockets, pycurl.POLL_REMOVE, ours)
    assert ours.fileno() in sockets.idle
    change(sockets, pycurl.POLL_IN, ours)
    assert ours.fileno() not in sockets.idle
    peer.send(b"x")
    assert sockets.wait(0) == [(ours.fileno(), select.EPOLLIN)]


def test_new_socket_under_an_old_number(sockets: Sockets, pair: Pair) -> None:
    """A number that comes back for another socket is registered anew, whatever it was before."""
    ours, _ = pair
    change(sockets, pycurl.POLL_IN, ours)
    change(sockets, pycurl.POLL_REMOVE, ours)
    number = ours.fileno()
    other, peer = socket.socketpair()
    with other, peer:
        os.dup2(other.fileno(), number)
        sockets.opened(number, 0)
        change(sockets, pycurl.POLL_IN, ours)
        peer.send(b"x")
        assert sockets.wait(0) == [(number, select.EPOLLIN)]


def test_number_of_a_closed_multi_handle(sockets: Sockets, pair: Pair) -> None:
    """What libcurl opens for itself is never announced: another socket under its number is
    registered anew, because the multi handle that had it is forgotten with all that it had.
    """
    ours, _ = pair
    multi = object()
    sockets.change(pycurl.POLL_IN, ours.fileno(), multi, None)
    number = ours.fileno()
    other, peer = socket.socketpair()
    with other, peer:
        os.dup2(other.fileno(), number)
        sockets.disown(multi)
        change(sockets, pycurl.POLL_IN, ours)
        peer.send(b"x")
        assert sockets.wait(0) == [(number, select.EPOLLIN)]


def test_idle_socket_that_speaks_up_goes(waker: int, pair: Pair) -> None:
    """A peer that closes an idle connection wakes the thread once, not for ever."""
    ours, peer = pair
    engine = Engine(waker, Policy(), ca_file=None)
    change(engine._sockets, pycurl.POLL_IN, ours)
    change(engine._sockets, pycurl.POLL_REMOVE, ours)
    peer.close()
    events = engine.wait(block=False)
    assert [fd for fd, _ in events] == [ours.fileno()]
    engine.react(events)
    assert engine.wait(block=False) == []
    engine.close()


def test_forgetting_a_closed_socket(sockets: Sockets, pair: Pair) -> None:
    """Libcurl may have closed it before the event is looked at."""
    ours, _ = pair
    change(sockets, pycurl.POLL_IN, ours)
    change(sockets, pycurl.POLL_REMOVE, ours)
    number = ours.fileno()
    ours.close()
    sockets.forget(number)
    assert sockets.idle == set()
