"""SIGHUP ten times a second under load: each event meets exactly one table."""

import asyncio
import signal
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from support.daemon import Daemon
from support.received import parse
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

BATCHES, BATCH = 12, 250
RELOADS = 'hookstream_reloads_total{result="ok"}'


@dataclass
class Seen:
    """What arrived, and which table was the newest that had been written by then."""

    newest: int = 0
    always: list[str] = field(default_factory=list)
    """Deliveries to the hook that is in every table."""
    versions: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By event: tables in which the hook that it went to besides is."""
    early: list[str] = field(default_factory=list)
    """Deliveries to hooks that no table had yet."""

    def __call__(self, head: bytes) -> Reply:
        """The receiver's answer to a request."""
        request = parse(head)
        event_id, _, hook_id = request.webhook_id.partition(":")
        if hook_id == "always":
            self.always.append(request.webhook_id)
        else:
            version = int(hook_id.removeprefix("only-"))
            self.versions[event_id].append(version)
            if version > self.newest:
                self.early.append(request.webhook_id)
        return response()


def _put(workspace: Workspace, *hooks: Mapping[str, object]) -> None:
    """Exchange the definitions at once: half a file would be a table that was never written."""
    fresh = workspace.folder / "fresh.yaml"
    fresh.write_text(yaml.safe_dump_all(hooks))
    fresh.replace(workspace.hooks_folder / "hooks.yaml")


async def test_tables_change_ten_times_a_second(workspace: Workspace) -> None:
    """Each event is delivered by exactly one whole table while tables change ten times a second.

    1. While events are written, the table is exchanged and SIGHUP sent every 100 ms; table n has
    the hooks `always` and `only-n`. 2. Each event is delivered once to `always` and once to one
    `only-n`: it met one table, whole. 3. That table was not older than the last one in use before
    the event was written, and had been written when the request came.
    """
    await workspace.create_topics()
    workspace.write_settings()
    seen = Seen()
    at_least: dict[str, int] = {}
    async with Receiver(otherwise=seen) as receiver:
        always = hook("always", receiver.origin)
        _put(workspace, always, hook("only-0", receiver.origin))
        async with Daemon(workspace.config) as daemon:

            async def produce() -> None:
                for number in range(BATCHES):
                    written, reloads = seen.newest, await daemon.sample(RELOADS)

                    async def in_use(reloads: float = reloads) -> bool:
                        # The next reload may have read an older file; the one after it did not.
                        return await daemon.sample(RELOADS) >= reloads + 2

                    await wait_until(in_use, "two reloads")
                    names = [f"e{number}-{serial}" for serial in range(BATCH)]
                    at_least.update(dict.fromkeys(names, written))
                    await workspace.cluster.produce(workspace.topic("event"), map(event, names))

            producing = asyncio.create_task(produce())
            while not producing.done():
                seen.newest += 1
                _put(workspace, always, hook(f"only-{seen.newest}", receiver.origin))
                daemon.signal(signal.SIGHUP)
                await asyncio.wait({producing}, timeout=0.1)
            await producing
            await wait_until(workspace.caught_up, "every event to be settled")
            assert await daemon.stop() == 0
    assert daemon.complaints == []
    assert await workspace.dead_letters() == []
    assert sorted(seen.always) == sorted(ids_of("always", at_least))
    assert seen.versions.keys() == at_least.keys()
    assert {len(versions) for versions in seen.versions.values()} == {1}
    assert seen.early == []
    assert all(seen.versions[name][0] >= version for name, version in at_least.items())
    assert len({version for [version] in seen.versions.values()}) > 3, "tables changed under load"
