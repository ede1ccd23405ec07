"""The demo's live definition: a hook that appears while the demo runs, and changes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consumer.clock import Clock
from consumer.control.records import HookRecord
from consumer.control.status_writer import StatusRecord
from consumer.settings import Settings
from consumer.stream.client import KafkaProducer

HOOK_ID: Final = "app-opens"
_AUTHOR: Final = "demo"
_LOOK_SECONDS: Final = 0.005
"""Time between two looks whether a change is in force."""
_IN_FORCE_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the definition."""

    share: float
    """The part of the demo after which it is written."""
    behaviour: str
    """The receiver that the hook then has, a key of `BEHAVIOURS`."""
    definition: Mapping[str, Any]


def steps(ports: Mapping[str, int]) -> Iterator[Step]:
    """The changes in order; `ports` are the receivers' by behaviour."""
    for share, behaviour in ((0.2, "slow"), (0.5, "healthy")):
        uri = f"http://127.0.0.1:{ports[behaviour]}/{behaviour}/opens"
        yield Step(
            share,
            behaviour,
            {
                "id": HOOK_ID,
                "name": "App opens, defined while the demo runs",
                "trigger": "event",
                "select": ["app_opened"],
                "uri": uri,
                "parameters": [{"key": "user", "source": "profile", "value": "id"}],
            },
        )


class LiveHook:
    """Writes the steps, and tells when each is in force.

    It writes plain records, without a transaction and an audit record as `HookWriter` does: the
    mock cluster ends transactions with a marker that has no checksum, which no reader takes.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Mapping[str, int],
        clock: Clock,
        behaviour: Callable[[], str | None],
    ) -> None:
        """`behaviour`: the receiver that the hook has in the daemon; None before it appears."""
        self.news = ""
        """What happened last, in a sentence."""
        self._steps = tuple(steps(ports))
        self._topic = settings.kafka.own_topics.hooks
        self._producer = KafkaProducer(settings.kafka, clock)
        self._clock = clock
        self._behaviour = behaviour

    async def run(self, seconds: float) -> None:
        """Write each step when it is time. `seconds`: those of the demo."""
        began = self._clock.monotonic()
        try:
            for revision, step in enumerate(self._steps, 1):
                await asyncio.sleep(began + step.share * seconds - self._clock.monotonic())
                await self._save(step, revision, began)
        finally:
            await self._producer.reset()

    async def _save(self, step: Step, revision: int, began: float) -> None:
        saved = self._clock.monotonic()
        record = HookRecord(HOOK_ID, revision, step.definition, by=_AUTHOR)
        for _, written in await self._producer.send(
            self._topic, [StatusRecord(self._topic, record.write())]
        ):
            await written
        async with asyncio.timeout(_IN_FORCE_TIMEOUT_SECONDS):
            while True:
                if self._behaviour() == step.behaviour:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
        took = self._clock.monotonic() - saved
        self.news = (
            f"{saved - began:.0f} s: live hook {HOOK_ID}, revision {revision}: saved and "
            f"in force in {took * 1000:.0f} ms"
        )
