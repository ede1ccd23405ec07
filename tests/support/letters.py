"""Dead letters as the daemon writes them, put into a topic by hand."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from consumer.events.decode import Headers
from consumer.stream.passport import Passport
from support.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Written:
    """One record for the dead-letter topic."""

    passport: Passport | None
    value: bytes | None = b'{"id": "e"}'
    key: bytes | None = b"k\xff"
    partition: int = 0
    timestamp_ms: int | None = None
    headers: Headers = ()
    """Of the source record."""
    group: str = ""
    """Who wrote it; none, as older versions did."""


def passport(
    number: int, *, hook: str = "a", reason: str = "exhausted", topic: str = "source"
) -> Passport:
    """What the daemon knows about a delivery that it gave up."""
    return Passport(
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


def exhausted(numbers: Iterable[int], hook: str = "a", *, partition: int = 0) -> list[Written]:
    """One letter for each number."""
    return [Written(passport(number, hook=hook), partition=partition) for number in numbers]


async def bury(cluster: Cluster, topic: str, letters: Iterable[Written]) -> None:
    """Write them in order, and wait until they are there."""
    async with cluster.producer(linger_ms=20) as producer:
        sent = [
            await producer.send(
                topic,
                letter.value,
                key=letter.key,
                partition=letter.partition,
                timestamp_ms=letter.timestamp_ms,
                headers=[
                    *(letter.passport.headers(letter.group) if letter.passport else ()),
                    *letter.headers,
                ],
            )
            for letter in letters
        ]
        await asyncio.gather(*sent)
