"""The topics of live definitions, read and written for the commands."""

from collections.abc import Iterable

from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.control.changes import ConflictError
from consumer.control.history import History
from consumer.control.live_table import LiveTable
from consumer.control.plan import PlannedChange
from consumer.control.records import HookRecord
from consumer.control.writer import HookWriter
from consumer.errors import HookstreamError
from consumer.services import topics
from consumer.settings import KafkaSettings


def read_table(settings: KafkaSettings) -> LiveTable:
    """The live definitions as of now. Raises `HookstreamError`."""
    return run_on_loop(lambda: topics.read_table(settings))


def read_history(settings: KafkaSettings, hook_id: str) -> History:
    """The changes of one hook. Raises `HookstreamError`."""
    return run_on_loop(lambda: topics.read_history(settings, hook_id))


def write(
    settings: KafkaSettings, changes: Iterable[PlannedChange], *, by: str, comment: str
) -> list[HookRecord]:
    """Write all changes or none.

    Raises:
        HookstreamError: nothing was written, or it is not known whether it was.
    """

    async def commit() -> list[HookRecord]:
        writer = HookWriter(settings, SystemClock())
        try:
            return await writer.write([change.wanted for change in changes], by=by, comment=comment)
        finally:
            await writer.close()

    try:
        return run_on_loop(commit)
    except ConflictError as error:
        conflicts = "; ".join(map(str, error.conflicts))
        raise HookstreamError(
            f"nothing was written: {conflicts}. Look at it with `hookstream hooks history`, and "
            "run the command again"
        ) from error
