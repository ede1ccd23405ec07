"""Live definitions in a running daemon: read, put in force, and reported in the status topic."""

import asyncio
from collections.abc import Callable, Iterable

from consumer.clock import Clock
from consumer.control.status_writer import StatusWriter
from consumer.definitions.in_force import DefinitionsInForce
from consumer.definitions.replica import status_source
from consumer.definitions.updates import LiveUpdates
from consumer.hooks.source import Delete, Upsert, ids_of
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.matching.store import Prepared
from consumer.metrics import Metrics
from consumer.pipeline.event_handler import EventHandler
from consumer.settings import KafkaSettings
from consumer.stream.intake import Intake
from consumer.stream.producer import KafkaProducer

log = get_logger(__name__)

_MAX_NAMED = 20
"""Hooks that one log line names."""


class Live:
    """The tasks of `hooks.live`."""

    def __init__(
        self,
        settings: KafkaSettings,
        definitions: DefinitionsInForce,
        *,
        replica: str,
        handler: EventHandler,
        intake: Intake,
        metrics: Metrics,
        warn: Callable[[Iterable[Hook]], None],
        clock: Clock,
    ) -> None:
        """`warn` is told of new hooks, in a thread: their URIs may be refused."""
        self._definitions = definitions
        self._handler = handler
        self._metrics = metrics
        self._warn = warn
        self._updates = LiveUpdates(settings, definitions, self._put_in_use, self._finish, clock)
        self._status = StatusWriter(
            KafkaProducer(settings, clock),
            settings.own_topics.status,
            status_source(
                replica,
                definitions=definitions,
                intake=intake,
                scheduler=handler.scheduler,
                metrics=metrics,
                clock=clock,
            ),
        )
        live = definitions.live
        metrics.set_live_source(lambda: live.problem_count, lambda: live.offset)

    @property
    def is_loaded(self) -> bool:
        """Whether everything that the topic said at the start is in force."""
        return self._updates.is_loaded

    async def load(self) -> None:
        """Put in force what the topic says. Raises `HookstreamError`."""
        await self._updates.load()

    async def run(self) -> None:
        """Put changes in force, and write the status, until cancelled; only after `load`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._updates.run())
            group.create_task(self._status.run())

    async def close(self) -> None:
        """Delete the status of this replica, and disconnect."""
        await self._status.close()
        await self._updates.close()

    def _put_in_use(self, prepared: Prepared) -> None:
        view, changes = prepared.view, prepared.changes
        self._handler.use(view)
        self._handler.scheduler.redefine(view.hooks, ids_of(changes))
        deleted = [change.hook_id for change in changes if isinstance(change, Delete)]
        self._metrics.forget_hooks(deleted)
        self._metrics.hooks_in_use(len(view.hooks))
        changed = [change.hook.id for change in changes if isinstance(change, Upsert)]
        log.info(
            "live definitions are in force",
            offset=self._definitions.live.offset,
            hooks=len(view.hooks),
            changed=len(changed),
            deleted=len(deleted),
            names=(changed + deleted)[:_MAX_NAMED],
        )

    def _finish(self, prepared: Prepared) -> None:
        self._warn([change.hook for change in prepared.changes if isinstance(change, Upsert)])
        prepared.free()
