"""Finds out what became of a transaction whose commit was not confirmed."""

from aiokafka.errors import OffsetOutOfRangeError

from consumer.stream.partition_log import PartitionLog


async def is_committed(log: PartitionLog, offset: int) -> bool | None:
    """Whether the record at `offset` was committed; None if its transaction is undecided. An offset
    that the partition no longer has was not. Raises `KafkaError`.
    """
    if await log.stable_end() <= offset:
        return None if await log.end() > offset else False
    try:
        fetched = await log.fetch(offset, 0.0)
    except OffsetOutOfRangeError:
        return False
    return None if fetched is None else any(record.offset == offset for record in fetched)
