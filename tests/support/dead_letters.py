"""Dead letters as the daemon writes them, written into a topic by a test."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.record import Headers
from support.cluster import Cluster


@dataclass(frozen=True, slots=True)
class WrittenDeadLetter:
    """One record for the dead-letter topic."""

    metadata: DeliveryMetadata | None
    value: bytes | None = b'{"id": "e"}'
    key: bytes | None = b"k\xff"
    partition: int = 0
    timestamp_ms: int | None = None
    headers: Headers = ()
    """The headers of the source record."""
    group: str = ""
    """The group that wrote it; none, as older versions did."""


def metadata(
    number: int, *, hook: str = "a", reason: str = "exhausted", topic: str = "source"
) -> DeliveryMetadata:
    """The metadata of a delivery that the daemon gave up."""
    return DeliveryMetadata(
        reason=reason,
        topic=topic,
        partition=2,
        offset=number,
        timestamp=1_795_514_400_123,
        trigger="event",
        delivery_id=f"e{number}:{hook}" if hook else "",
        hook=hook,
        attempts=12,
        last_status="503",
        first_failed_at=1_795_514_401.5,
        detail="why not",
    )


def exhausted(
    numbers: Iterable[int], hook: str = "a", *, partition: int = 0
) -> list[WrittenDeadLetter]:
    """One dead letter for each number."""
    return [
        WrittenDeadLetter(metadata(number, hook=hook), partition=partition) for number in numbers
    ]


async def write_dead_letters(
    cluster: Cluster, topic: str, dead_letters: Iterable[WrittenDeadLetter]
) -> None:
    """Write dead letters in order, and wait until they are in the topic."""
    async with cluster.producer(linger_ms=20) as producer:
        sent = [
            await producer.send(
                topic,
                dead_letter.value,
                key=dead_letter.key,
                partition=dead_letter.partition,
                timestamp_ms=dead_letter.timestamp_ms,
                headers=[
                    *(
                        dead_letter.metadata.headers(dead_letter.group)
                        if dead_letter.metadata
                        else ()
                    ),
                    *dead_letter.headers,
                ],
            )
            for dead_letter in dead_letters
        ]
        await asyncio.gather(*sent)


async def without_a_lock(work: Awaitable[None]) -> None:
    """As `GroupLock.while_held` of a lock that never ends."""
    await work
