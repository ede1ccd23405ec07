"""kill -9 to the daemon, at any moment: what is not committed is done again, nothing is lost."""

import random
from http import HTTPStatus

import pytest

from support.cluster import Offsets
from support.commits_harness import CommitsHarness
from support.daemon import Daemon
from support.group import evict
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

KILLS = 12
TRIES = 5


def _sometimes_failing(delivery: str, attempt: int) -> int:
    """Hook `flaky` fails once for some events, and for good for others."""
    number = int(delivery[1:].partition(":")[0])
    if delivery.endswith(":flaky") and number % 11 == 0:
        return HTTPStatus.BAD_REQUEST
    if delivery.endswith(":flaky") and number % 5 == 0 and attempt == 1:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.OK


@pytest.mark.timeout(300)
async def test_kills_under_load_lose_nothing(workspace: Workspace) -> None:
    """Twelve kills under load lose no delivery, and only what was not committed is sent twice.

    1. Events are written all the time; some deliveries fail for a while, some for good. 2. Twelve
    times the daemon is killed a random number of requests after it became ready, every second time
    after it has also committed. 3. The last one settles everything: each delivery was answered or
    is a dead letter, and no commit ever passed one that was neither. 4. Only what was not committed
    at a kill was sent twice, with the same id.
    """
    seed = random.randrange(2**32)  # noqa: S311  # no secret
    print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    moments = random.Random(seed)  # noqa: S311  # no secret
    await workspace.create_topics()
    async with (
        LedgerHarness(workspace, ["steady", "flaky"], _sometimes_failing) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_settings()
        workspace.write_hooks(
            hook("steady", receiver.origin), hook("flaky", receiver.origin, order="user")
        )
        await _make_retry_topics(workspace)
        may_repeat: set[str] = set()
        async with CommitsHarness(ledger) as watch:
            async with ledger.load(batch=20, ahead=200):
                for kill in range(KILLS):
                    committed = watch.committed
                    async with Daemon(workspace.config):
                        if kill % 2:
                            await wait_until(lambda: watch.committed != committed, "a commit")  # noqa: B023  # it is called here
                        enough = len(ledger.times) + moments.randrange(600)
                        await wait_until(lambda: len(ledger.times) >= enough, "requests")  # noqa: B023
                    may_repeat |= await _evict(workspace, ledger)
            async with Daemon(workspace.config) as daemon:
                await wait_until(workspace.caught_up, "all to be settled")
                assert await daemon.sample("hookstream_in_flight") == 0
                assert await daemon.stop() == 0
        await ledger.check()
    assert ledger.repeated <= may_repeat < ledger.expected


async def _make_retry_topics(workspace: Workspace) -> None:
    """A first run makes the retry and dead-letter topics."""
    async with Daemon(workspace.config) as daemon:
        assert await daemon.stop() == 0


async def _evict(workspace: Workspace, ledger: LedgerHarness) -> set[str]:
    """After a kill: what may come again; the group forgets the dead member at once."""
    await evict(workspace.cluster, workspace.group)
    return await ledger.not_committed()


async def test_killed_between_a_retry_topics_acknowledgement_and_the_commit(
    workspace: Workspace,
) -> None:
    """A kill between a retry topic's acknowledgement and the commit loses no delivery and keeps its
    id.

    1. A delivery fails, and the daemon is killed as soon as the retry topic has it, which is before
    the next commit. 2. The event is read again, so the delivery is deferred a second time or
    arrives, under the same id; it is never missing, and never committed past.
    """
    killed_in_time = 0
    await workspace.create_topics()
    async with (
        LedgerHarness(workspace, ["a"], _fails_once) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        await _make_retry_topics(workspace)
        async with CommitsHarness(ledger):
            for _ in range(TRIES):
                ends = await workspace.cluster.ends(workspace.retry_topics)
                async with Daemon(workspace.config):
                    await ledger.write(1)
                    await wait_until(lambda: _moved(workspace, ends), "the topic's end to move")  # noqa: B023
                killed_in_time += bool(await _evict(workspace, ledger))
            async with Daemon(workspace.config) as daemon:
                await wait_until(workspace.caught_up, "all to be settled")
                assert await daemon.stop() == 0
        await ledger.check()
    assert ledger.answered.keys() == ledger.expected
    assert killed_in_time, "the commit was always faster"


def _fails_once(_delivery: str, attempt: int) -> int:
    return HTTPStatus.SERVICE_UNAVAILABLE if attempt == 1 else HTTPStatus.OK


async def _moved(workspace: Workspace, before: Offsets) -> bool:
    return await workspace.cluster.ends(workspace.retry_topics) != before
