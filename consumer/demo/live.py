"""The demo's live definition: a hook that appears while the demo runs, and changes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consumer.clock import Clock
from consumer.control.changes import WantedChange
from consumer.control.writer import HookWriter
from consumer.settings import Settings

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
    """Writes the steps, and tells when each is in force."""

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
        self._writer = HookWriter(settings.kafka, clock)
        self._clock = clock
        self._behaviour = behaviour

    async def run(self, seconds: float) -> None:
        """Write each step when it is time. `seconds`: those of the demo."""
        began = self._clock.monotonic()
        try:
            for step in self._steps:
                await asyncio.sleep(began + step.share * seconds - self._clock.monotonic())
                await self._save(step, began)
        finally:
            await self._writer.close()

    async def _save(self, step: Step, began: float) -> None:
        saved = self._clock.monotonic()
        change = WantedChange(HOOK_ID, step.definition, None)
        (record,) = await self._writer.write([change], by=_AUTHOR)
        async with asyncio.timeout(_IN_FORCE_TIMEOUT_SECONDS):
            while True:
                if self._behaviour() == step.behaviour:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
        took = self._clock.monotonic() - saved
        self.news = (
            f"{saved - began:.0f} s: live hook {HOOK_ID}, revision {record.revision}: saved and "
            f"in force in {took * 1000:.0f} ms"
        )
