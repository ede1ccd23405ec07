"""The promises of `Transport`, held by both adapters and by the tests' double."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from consumer.clock import SystemClock
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AttemptResult, Request, Transport
from consumer.reasons import ErrorKind
from support.attempts import LOOPBACK, Attempt, answer_of, get, trusting
from support.fakes import FakeClock, FakeTransport
from support.receiver import Receiver, Reply, Then, response


class TransportHarness:
    """A transport and a receiver that knows two targets: `/hang`, and `/<status>`."""

    def __init__(self, transport: Transport, origin: str, receiver: Receiver | None = None) -> None:
        self.transport = transport
        self.receiver = receiver
        self._origin = origin

    def get(self, target: str) -> Request:
        """A request for this target."""
        return get(self._origin + target)


def by_target(head: bytes) -> Reply:
    """The receiver's answer to a request."""
    word = head.split(b" ")[1].strip(b"/").decode()
    return Reply(then=Then.HANG) if word == "hang" else response(int(word))


async def answer_by_target(transport: FakeTransport) -> None:
    """Answer the double's attempts as the receiver does, each in an iteration of the loop."""
    loop = asyncio.get_running_loop()
    while True:
        words = [request.target.strip("/") for request, _ in transport.open]
        due = next((number for number, word in enumerate(words) if word != "hang"), None)
        if due is not None:
            loop.call_soon(transport.answer, int(words[due]), due)
        await asyncio.sleep(0)


@pytest.fixture(params=["curl", "aiohttp", "double"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[TransportHarness]:
    """Each transport in turn."""
    loop = asyncio.get_running_loop()
    if request.param == "double":
        double = FakeTransport(FakeClock())
        answers = loop.create_task(answer_by_target(double))
        yield TransportHarness(double, "http://receiver.example")
        answers.cancel()
        with suppress(asyncio.CancelledError):
            await answers
        return
    transport: Transport = (
        CurlTransport(loop, LOOPBACK, trusting())
        if request.param == "curl"
        else AiohttpTransport(loop, LOOPBACK, trusting(), clock=SystemClock())
    )
    async with Receiver(otherwise=by_target) as receiver:
        yield TransportHarness(transport, receiver.origin, receiver)
        await transport.close()


async def test_status_comes_back(harness: TransportHarness) -> None:
    """An answer has the receiver's status and no error."""
    for status in (200, 204, 404, 503):
        answer = await answer_of(harness.transport, harness.get(f"/{status}"))
        assert (answer.status, answer.error) == (status, None)


async def test_done_is_not_called_inside_send(harness: TransportHarness) -> None:
    """`done` is called later, on the loop, so a caller may update its own state after `send`."""
    attempt = Attempt(harness.transport, harness.get("/200"))
    assert attempt.answers == []
    await attempt.answer()


async def test_each_of_many_is_answered_once(harness: TransportHarness) -> None:
    """Two hundred requests at once get two hundred answers, each to its own request."""
    statuses = list(itertools.islice(itertools.cycle((200, 204, 302, 404, 429, 500)), 200))
    attempts = [Attempt(harness.transport, harness.get(f"/{status}")) for status in statuses]
    assert [(await attempt.answer()).status for attempt in attempts] == statuses
    await harness.transport.close()
    assert all(len(attempt.answers) == 1 for attempt in attempts)


async def test_done_may_send(harness: TransportHarness) -> None:
    """A callback may start the next attempt, as the scheduler does."""
    attempts: list[Attempt] = []
    finished = asyncio.Event()

    def again(answer: AttemptResult) -> None:
        assert answer.status == 200
        if len(attempts) == 20:
            finished.set()
            return
        attempts.append(Attempt(harness.transport, harness.get("/204")))
        harness.transport.send(harness.get("/200"), again)

    harness.transport.send(harness.get("/200"), again)
    async with asyncio.timeout(10):
        await finished.wait()
    assert [(await attempt.answer()).status for attempt in attempts] == [204] * 20


async def test_done_that_raises(harness: TransportHarness) -> None:
    """An exception in a callback is reported by the loop and costs no other attempt its answer."""
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: heard.append(str(context["exception"]))
    )

    def fail(answer: AttemptResult) -> None:
        raise RuntimeError(answer.status)

    attempts = []
    for _ in range(10):
        harness.transport.send(harness.get("/200"), fail)
        attempts.append(Attempt(harness.transport, harness.get("/204")))
    assert [(await attempt.answer()).status for attempt in attempts] == [204] * 10
    await harness.transport.close()
    assert heard == ["200"] * 10


async def test_close_answers_what_is_under_way(harness: TransportHarness) -> None:
    """Attempts under way get one connect error each before `close` ends."""
    attempts = [Attempt(harness.transport, harness.get("/hang")) for _ in range(20)]
    if harness.receiver is not None:
        await harness.receiver.until(requests=20)
    await harness.transport.close()
    assert [len(attempt.answers) for attempt in attempts] == [1] * 20
    answers = [await attempt.answer() for attempt in attempts]
    assert {(answer.status, answer.error) for answer in answers} == {(0, ErrorKind.CONNECT)}


async def test_close_answers_what_has_not_begun(harness: TransportHarness) -> None:
    """Attempts that were sent just before `close` get one connect error each before it ends."""
    attempts = [Attempt(harness.transport, harness.get("/hang")) for _ in range(20)]
    await harness.transport.close()
    assert [len(attempt.answers) for attempt in attempts] == [1] * 20
    assert {(await attempt.answer()).error for attempt in attempts} == {ErrorKind.CONNECT}


async def test_failure_waits(harness: TransportHarness) -> None:
    """Neither failed attempts nor `close` count as a failure of the transport."""
    failure = asyncio.ensure_future(harness.transport.failure())
    assert (await answer_of(harness.transport, harness.get("/503"))).status == 503
    await harness.transport.close()
    await answer_of(harness.transport, harness.get("/200"))
    assert not failure.done()
    failure.cancel()


async def test_send_after_close(harness: TransportHarness) -> None:
    """A `send` after `close` is answered with a connect error, and closing twice is no error."""
    await harness.transport.close()
    await harness.transport.close()
    attempt = Attempt(harness.transport, harness.get("/200"))
    assert attempt.answers == []
    assert (await attempt.answer()).error is ErrorKind.CONNECT


async def test_settings_change_no_answer(harness: TransportHarness) -> None:
    """An attempt under way gets its one answer although policy, authorities and the number of idle
    connections are set meanwhile.
    """
    hung = Attempt(harness.transport, harness.get("/hang"))
    attempt = Attempt(harness.transport, harness.get("/204"))
    harness.transport.set_policy(LOOPBACK)
    harness.transport.trust(trusting())
    harness.transport.keep_idle(4)
    assert (await attempt.answer()).status == 204
    assert (await answer_of(harness.transport, harness.get("/200"))).status == 200
    assert [len(one.answers) for one in (hung, attempt)] == [0, 1]


async def test_phases_are_told_of_the_attempts_that_are_wanted(harness: TransportHarness) -> None:
    """Each attempt with a result is asked for once, by its status, and only those that are wanted
    tell their phases; without a question none does.
    """
    asked: list[int] = []

    def wanted(status: int) -> bool:
        asked.append(status)
        return status == 503

    harness.transport.measure(wanted)
    told = {
        status: (await answer_of(harness.transport, harness.get(f"/{status}"))).phases
        for status in (200, 404, 503)
    }
    assert asked == [200, 404, 503]
    assert (told[200], told[404]) == (None, None)
    assert told[503] is not None
    harness.transport.measure(None)
    assert (await answer_of(harness.transport, harness.get("/503"))).phases is None
