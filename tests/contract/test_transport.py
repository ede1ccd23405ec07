"""The promises of `Transport`, held by both adapters and by the tests' double."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from consumer.clock import SystemClock
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AttemptResult, Request, Transport
from consumer.reasons import ErrorKind
from doubles import ScriptedTransport
from support.attempts import LOOPBACK, Attempt, answer_of, get, trusting
from support.receiver import Receiver, Reply, Then, response


class TransportHarness:
    """A transport and a receiver that knows two targets: `/hang`, and `/<status>`."""

    def __init__(self, transport: Transport, origin: str, receiver: Receiver | None = None) -> None:
        self.transport = transport
        self.receiver = receiver
        self._origin = origin

    def get(self, target: str) -> Request:
        """A request to this place."""
        return get(self._origin + target)


def by_target(head: bytes) -> Reply:
    """What the receiver says to a request."""
    word = head.split(b" ")[1].strip(b"/").decode()
    return Reply(then=Then.HANG) if word == "hang" else response(int(word))


def script(request: Request) -> AttemptResult | None:
    """The same, for the double."""
    word = request.url.rpartition("/")[2]
    return None if word == "hang" else AttemptResult(status=int(word))


@pytest.fixture(params=["curl", "aiohttp", "double"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[TransportHarness]:
    """Each transport in turn."""
    loop = asyncio.get_running_loop()
    if request.param == "double":
        yield TransportHarness(ScriptedTransport(loop, script), "http://receiver.example")
        return
    transport: Transport = (
        CurlTransport(loop, LOOPBACK, trusting())
        if request.param == "curl"
        else AiohttpTransport(loop, LOOPBACK, trusting(), clock=SystemClock())
    )
    async with Receiver(otherwise=by_target) as receiver:
        yield TransportHarness(transport, receiver.origin, receiver)
        await transport.close()


async def test_status_comes_back(place: TransportHarness) -> None:
    """An answer has the receiver's status and no error."""
    for status in (200, 204, 404, 503):
        answer = await answer_of(place.transport, place.get(f"/{status}"))
        assert (answer.status, answer.error) == (status, None)


async def test_done_is_not_called_inside_send(place: TransportHarness) -> None:
    """`done` comes later, on the loop: a caller may finish its own books after `send`."""
    attempt = Attempt(place.transport, place.get("/200"))
    assert attempt.answers == []
    await attempt.answer()


async def test_each_of_many_is_answered_once(place: TransportHarness) -> None:
    """Two hundred at once are two hundred answers, each to its own request."""
    statuses = list(itertools.islice(itertools.cycle((200, 204, 302, 404, 429, 500)), 200))
    attempts = [Attempt(place.transport, place.get(f"/{status}")) for status in statuses]
    assert [(await attempt.answer()).status for attempt in attempts] == statuses
    await place.transport.close()
    assert all(len(attempt.answers) == 1 for attempt in attempts)


async def test_done_may_send(place: TransportHarness) -> None:
    """A callback may start the next attempt: that is how the dispatcher works."""
    attempts: list[Attempt] = []
    finished = asyncio.Event()

    def again(answer: AttemptResult) -> None:
        assert answer.status == 200
        if len(attempts) == 20:
            finished.set()
            return
        attempts.append(Attempt(place.transport, place.get("/204")))
        place.transport.send(place.get("/200"), again)

    place.transport.send(place.get("/200"), again)
    async with asyncio.timeout(10):
        await finished.wait()
    assert [(await attempt.answer()).status for attempt in attempts] == [204] * 20


async def test_done_that_raises(place: TransportHarness) -> None:
    """A callback that fails is the loop's to report, and costs no other its answer."""
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: heard.append(str(context["exception"]))
    )

    def fail(answer: AttemptResult) -> None:
        raise RuntimeError(answer.status)

    attempts = []
    for _ in range(10):
        place.transport.send(place.get("/200"), fail)
        attempts.append(Attempt(place.transport, place.get("/204")))
    assert [(await attempt.answer()).status for attempt in attempts] == [204] * 10
    await place.transport.close()
    assert heard == ["200"] * 10


async def test_close_answers_what_is_under_way(place: TransportHarness) -> None:
    """Nobody waits for ever: attempts under way get a connect error, once, before `close` ends."""
    attempts = [Attempt(place.transport, place.get("/hang")) for _ in range(20)]
    if place.receiver is not None:
        await place.receiver.until(requests=20)
    await place.transport.close()
    assert [len(attempt.answers) for attempt in attempts] == [1] * 20
    answers = [await attempt.answer() for attempt in attempts]
    assert {(answer.status, answer.error) for answer in answers} == {(0, ErrorKind.CONNECT)}


async def test_close_answers_what_has_not_begun(place: TransportHarness) -> None:
    """The same for what was sent in the very moment of closing."""
    attempts = [Attempt(place.transport, place.get("/hang")) for _ in range(20)]
    await place.transport.close()
    assert [len(attempt.answers) for attempt in attempts] == [1] * 20
    assert {(await attempt.answer()).error for attempt in attempts} == {ErrorKind.CONNECT}


async def test_failure_waits(place: TransportHarness) -> None:
    """Neither attempts that fail nor `close` are an end that nobody wanted."""
    failure = asyncio.ensure_future(place.transport.failure())
    assert (await answer_of(place.transport, place.get("/503"))).status == 503
    await place.transport.close()
    await answer_of(place.transport, place.get("/200"))
    assert not failure.done()
    failure.cancel()


async def test_send_after_close(place: TransportHarness) -> None:
    """A late attempt is answered too; closing twice is no error."""
    await place.transport.close()
    await place.transport.close()
    attempt = Attempt(place.transport, place.get("/200"))
    assert attempt.answers == []
    assert (await attempt.answer()).error is ErrorKind.CONNECT
