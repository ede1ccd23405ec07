"""The topics of live definitions, each read anew to its end."""

from collections.abc import Callable

from consumer.clock import SystemClock
from consumer.control.history import History
from consumer.control.live_table import LiveTable
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.table_reader import TableReader


async def read_table(settings: KafkaSettings) -> LiveTable:
    """The live definitions as of now. Raises `HookstreamError`."""
    table = LiveTable()
    await read_topic(settings, settings.own_topics.hooks, table.take, table.clear)
    return table


async def read_history(settings: KafkaSettings, hook_id: str) -> History:
    """The changes of one hook. Raises `HookstreamError`."""
    history = History(hook_id)
    await read_topic(settings, settings.own_topics.hooks_audit, history.take, history.clear)
    return history


async def read_topic(
    settings: KafkaSettings,
    topic: str,
    take: Callable[[Record], object],
    restarted: Callable[[], None],
) -> None:
    """Give every record of a topic to `take`; after `restarted` they begin anew.

    Raises:
        HookstreamError: the topic cannot be read.
    """
    reader = TableReader(settings, topic, take, restarted, SystemClock())
    try:
        await reader.open()
        await reader.read_to_end()
    finally:
        await reader.close()
