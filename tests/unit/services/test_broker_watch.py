"""Whether Kafka answers: asked once for all, soon known, and not asked at each request."""

import asyncio

import pytest

from consumer.errors import HookstreamError
from consumer.services import broker_watch
from consumer.services.broker_watch import ANSWER_SECONDS, FRESH_SECONDS, BrokerWatch
from consumer.services.topic_view import UnavailableError
from consumer.settings import KafkaSettings
from support.fakes import FakeClock
from support.waiting import wait_until


class _Brokers:
    """Brokers that answer when a test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.fail = False

    async def ask(self, _settings: KafkaSettings) -> None:
        """As `ask_brokers`."""
        self.asked += 1
        await self.answers.wait()
        if self.fail:
            raise HookstreamError("no Kafka broker answers at localhost:9092")


@pytest.fixture
async def brokers(monkeypatch: pytest.MonkeyPatch) -> _Brokers:
    """The brokers that are asked."""
    brokers = _Brokers()
    await asyncio.sleep(0)
    monkeypatch.setattr(broker_watch, "ask_brokers", brokers.ask)
    return brokers


async def test_all_requests_of_one_time_share_one_question(brokers: _Brokers) -> None:
    """Requests at once ask once, and an answer counts for those that follow soon."""
    clock = FakeClock()
    watch = BrokerWatch(KafkaSettings(), clock)
    asking = [asyncio.create_task(watch.require()) for _ in range(5)]
    await wait_until(lambda: brokers.asked, "the question")
    brokers.answers.set()
    await asyncio.gather(*asking)
    clock.advance(FRESH_SECONDS - 0.1)
    await watch.require()
    assert brokers.asked == 1
    clock.advance(0.1)
    await watch.require()
    assert brokers.asked == 2
    await watch.close()


async def test_a_refusal_is_told_at_once_to_those_that_follow(brokers: _Brokers) -> None:
    """While no broker can be reached each request is told why, and they are not asked for each; an
    answer ends it.
    """
    clock = FakeClock()
    watch = BrokerWatch(KafkaSettings(), clock)
    brokers.fail = True
    brokers.answers.set()
    for _ in range(3):
        with pytest.raises(UnavailableError, match="no Kafka broker answers"):
            await watch.require()
    assert brokers.asked == 1
    brokers.fail = False
    clock.advance(FRESH_SECONDS)
    await watch.require()
    assert brokers.asked == 2
    await watch.close()


async def test_a_broker_that_is_silent_holds_up_no_request(brokers: _Brokers) -> None:
    """Of requests to a broker that does not answer the first wait for a bounded time, from the
    question on, and those after it not at all.
    """
    clock = FakeClock()
    watch = BrokerWatch(KafkaSettings(), clock)
    first = asyncio.create_task(watch.require())
    await wait_until(lambda: brokers.asked, "the question")
    clock.advance(ANSWER_SECONDS)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="within 2 s"):
            await watch.require()
    assert brokers.asked == 1
    brokers.answers.set()
    await first
    await watch.require()
    await watch.close()
