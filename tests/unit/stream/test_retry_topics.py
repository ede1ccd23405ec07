"""The retry topics that are consumed, and how a member comes to consume others."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from consumer.errors import HookstreamError
from consumer.metrics.stream import StreamMetrics
from consumer.settings import OwnTopics
from consumer.stream.known_retry_topics import KnownRetryTopics
from support.fake_consumer import FakeConsumer
from support.fakes import FakeRecord
from support.member import OVERFLOW, RETRY, A, Member
from support.waiting import wait_until

OLD = TopicPartition("hookstream.retry.1m", 0)
NAMED = RETRY.topic


@pytest.fixture
def topics() -> KnownRetryTopics:
    """Of settings that name one delay."""
    return KnownRetryTopics(FakeConsumer(), OwnTopics("hookstream"), [10.0], StreamMetrics())


def _consumed(topics: KnownRetryTopics) -> dict[str, float]:
    topics.adopt()
    assert not topics.changed
    return {topic: retry_topic.delay for topic, retry_topic in topics.consumed.items()}


def test_all_retry_topics_below_the_prefix_are_consumed(topics: KnownRetryTopics) -> None:
    """All retry topics below the prefix are consumed, existing or not, and deliveries are deferred
    only to those of the settings.
    """
    topics.found({OLD.topic, "event", "hookstream.dead-letter", "other.retry.5s"})
    assert topics.changed
    assert _consumed(topics) == {NAMED: 10.0, OLD.topic: 60.0}
    assert [retry_topic.topic for retry_topic in topics.named] == [NAMED]


def test_a_topic_is_gone_when_two_looks_did_not_find_it(topics: KnownRetryTopics) -> None:
    """A retry topic counts as gone when two looks in a row did not find it, and one of the settings
    never does.
    """
    topics.found({NAMED, OLD.topic})
    assert OLD.topic in _consumed(topics)
    topics.found(set())
    assert not topics.changed
    topics.found({OLD.topic})
    topics.found(set())
    assert not topics.changed
    topics.found(set())
    assert _consumed(topics) == {NAMED: 10.0}


def test_a_topic_that_may_not_be_read_is_left_out(topics: KnownRetryTopics) -> None:
    """A retry topic that the settings do not name and that may not be read is left out and not
    tried again.
    """
    topics.found({OLD.topic})
    topics.adopt()
    assert topics.leave_out(TopicAuthorizationFailedError(OLD.topic))
    assert _consumed(topics) == {NAMED: 10.0}
    topics.found({OLD.topic})
    assert not topics.changed


@pytest.mark.parametrize(
    "error",
    [
        TopicAuthorizationFailedError(NAMED),
        TopicAuthorizationFailedError({NAMED, OLD.topic}),
        TopicAuthorizationFailedError("event"),
        TopicAuthorizationFailedError(set()),
        HookstreamError("another"),
        None,
    ],
)
def test_any_other_refusal_ends_the_daemon(
    topics: KnownRetryTopics, error: BaseException | None
) -> None:
    """A source or a retry topic of the settings that may not be read ends the daemon."""
    topics.found({OLD.topic})
    topics.adopt()
    assert not topics.leave_out(error)


async def test_another_subscription_follows_an_orderly_end() -> None:
    """A member that learns of another retry topic lets what is under way finish, commits, and then
    subscribes to it as well: aiokafka commits nothing of an earlier subscription.
    """
    member = Member()
    consumer = member.consumer
    consumer.append(A, *(FakeRecord() for _ in range(3)))
    async with member.running(A, RETRY):
        await member.takes(3)
        member.handler.settle(2)
        consumer.append(OLD, FakeRecord(timestamp=0))
        member.retry_topics.found({NAMED, OLD.topic})
        await member.idles()
        assert consumer.subscribed == ["event", NAMED, OVERFLOW.topic]  # one is under way
        member.handler.settle()
        await wait_until(lambda: OLD.topic in consumer.subscribed, "the new subscription")
        assert consumer.offsets == {A: 3, RETRY: 0}
        await consumer.rebalance(A, RETRY, OLD)
        await member.takes(4)
    assert member.handler.taken[-1] == (OLD.topic, 0, 0)


async def test_each_assignment_is_followed_by_a_look() -> None:
    """After each assignment the topics are listed again, since another replica may have made
    one.
    """
    member = Member()
    async with member.running(A):
        member.consumer.append(OLD)
        looking = asyncio.create_task(member.retry_topics.run())
        await wait_until(lambda: OLD.topic in member.consumer.subscribed, "the new subscription")
        looking.cancel()


async def test_a_stop_that_meets_an_assignment_ends_the_checks(topics: KnownRetryTopics) -> None:
    """A stop that comes in the same moment as an assignment ends the regular checks, for which the
    daemon waits before it leaves the group.
    """
    checking = asyncio.create_task(topics.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    topics.check_soon()
    await asyncio.sleep(0)
    checking.cancel()
    await asyncio.wait({checking}, timeout=1.0)
    ended = checking.done()
    checking.cancel()
    assert ended
