"""The engine's epoll registrations stay right although libcurl forgets sockets and numbers are
reused.
"""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pycurl  # type: ignore[import-untyped]  # the stubs of others lag behind its constants
import pytest

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl_engine import Engine
from consumer.delivery.http.curl_sockets import Sockets


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    """With nothing registered."""
    sockets = Sockets()
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


def test_one_descriptor_speaks_for_all(sockets: Sockets, pair: Pair) -> None:
    """The one descriptor of the epoll is readable as long as any socket is ready."""
    ours, peer = pair
    change(sockets, pycurl.POLL_IN, ours)
    assert select.select([sockets.fileno()], [], [], 0)[0] == []
    peer.send(b"x")
    for _ in range(2):
        assert select.select([sockets.fileno()], [], [], 0)[0] == [sockets.fileno()]
    ours.recv(1)
    assert select.select([sockets.fileno()], [], [], 0)[0] == []


def test_many_that_are_ready_come_in_slices(sockets: Sockets) -> None:
    """Ready sockets come in slices, so that the loop can run other callbacks, and none is left
    out.
    """
    with ExitStack() as stack:
        ours = set()
        for _ in range(100):
            mine, peer = map(stack.enter_context, socket.socketpair())
            change(sockets, pycurl.POLL_IN, mine)
            peer.send(b"x")
            ours.add(mine.fileno())
        seen: set[int] = set()
        for _ in range(2):
            ready = {fd for fd, _ in sockets.ready()}
            assert len(ready) <= 64
            seen |= ready
        assert seen == ours


def test_interest_is_followed(sockets: Sockets, pair: Pair) -> None:
    """The registration follows libcurl's interest in reading, writing or both."""
    ours, peer = pair
    peer.send(b"x")
    for what, events in (
        (pycurl.POLL_OUT, select.EPOLLOUT),
        (pycurl.POLL_INOUT, select.EPOLLIN | select.EPOLLOUT),
        (pycurl.POLL_IN, select.EPOLLIN),
    ):
        change(sockets, what, ours)
        assert sockets.ready() == [(ours.fileno(), events)]


def test_dropped_socket_comes_back(sockets: Sockets, pair: Pair) -> None:
    """A socket that is dropped and wanted again is reported as ready."""
    ours, peer = pair
    change(sockets, pycurl.POLL_IN, ours)
    change(sockets, pycurl.POLL_REMOVE, ours)
    assert ours.fileno() in sockets.idle
    change(sockets, pycurl.POLL_IN, ours)
    assert ours.fileno() not in sockets.idle
    peer.send(b"x")
    assert sockets.ready() == [(ours.fileno(), select.EPOLLIN)]


def test_new_socket_under_an_old_number(sockets: Sockets, pair: Pair) -> None:
    """A new socket with the number of an old one is registered anew."""
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
        assert sockets.ready() == [(number, select.EPOLLIN)]


def test_number_of_a_closed_multi_handle(sockets: Sockets, pair: Pair) -> None:
    """A socket with the number of one of a closed multi handle is registered anew."""
    ours, _ = pair
    multi = object()
    sockets.change(pycurl.POLL_IN, ours.fileno(), multi, None)
    number = ours.fileno()
    other, peer = socket.socketpair()
    with other, peer:
        os.dup2(other.fileno(), number)
        sockets.remove_multi(multi)
        change(sockets, pycurl.POLL_IN, ours)
        peer.send(b"x")
        assert sockets.ready() == [(number, select.EPOLLIN)]


def test_idle_socket_that_speaks_up_goes(pair: Pair) -> None:
    """A peer that closes an idle connection wakes the loop once, not for ever."""
    ours, peer = pair
    engine = Engine(EgressPolicy(), Authorities(b""), report=lambda _route, _trouble: None)
    change(engine._sockets, pycurl.POLL_IN, ours)
    change(engine._sockets, pycurl.POLL_REMOVE, ours)
    peer.close()
    assert [fd for fd, _ in engine._sockets.ready()] == [ours.fileno()]
    engine.handle_events()
    assert engine._sockets.ready() == []
    engine.close()


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The same over TCP; nothing is held back because something else is under way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
    with ours, peer:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield ours, peer


def test_what_a_shared_socket_is_sent_goes_out_together(sockets: Sockets, connection: Pair) -> None:
    """Small requests on a shared socket are sent as one packet at the end of the loop iteration."""
    ours, peer = connection
    sockets.share(ours.fileno())
    with sockets.corked():
        for _ in range(3):
            ours.send(b"x")
        assert select.select([peer], [], [], 0)[0] == []
    assert peer.recv(10) == b"xxx"


@pytest.mark.parametrize("why", ["never shared", "not shared", "idle", "another under its number"])
def test_other_sockets_send_at_once(sockets: Sockets, connection: Pair, why: str) -> None:
    """A socket of one request sends at once."""
    ours, peer = connection
    if why != "never shared":
        sockets.share(-1 if why == "not shared" else ours.fileno())
    if why == "idle":
        change(sockets, pycurl.POLL_REMOVE, ours)
    if why == "another under its number":
        sockets.opened(ours.fileno(), 0)
    with sockets.corked():
        ours.send(b"x")
        assert select.select([peer], [], [], 10)[0] == [peer]


def test_a_shared_socket_that_is_closed_is_passed_over(sockets: Sockets, connection: Pair) -> None:
    """A shared socket that libcurl closed without a word is skipped."""
    ours, _ = connection
    sockets.share(ours.fileno())
    ours.close()
    with sockets.corked():
        pass


def test_forgetting_a_closed_socket(sockets: Sockets, pair: Pair) -> None:
    """Dropping a socket that libcurl has closed already is no error."""
    ours, _ = pair
    change(sockets, pycurl.POLL_IN, ours)
    change(sockets, pycurl.POLL_REMOVE, ours)
    number = ours.fileno()
    ours.close()
    sockets.forget(number)
    assert sockets.idle == set()
