"""SIGHUP with something wrong: the old table stays, and log and metrics say why."""

import signal
from collections.abc import Mapping
from functools import partial
from typing import Any

from support.daemon import Daemon
from support.receiver import Receiver
from support.receiver_harness import ReceiverHarness
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

FAILED = 'hookstream_reloads_total{result="failed"}'
OK = 'hookstream_reloads_total{result="ok"}'
REFUSED = "reload refused; the old settings and hooks stay"


async def _sighup(daemon: Daemon, series: str, times: int) -> None:
    daemon.signal(signal.SIGHUP)

    async def counted() -> bool:
        return await daemon.sample(series) == times

    await wait_until(counted, f"{series} to be {times}")


def _refusal(daemon: Daemon, number: int) -> Mapping[str, Any]:
    """The log's line on refusal `number`, once it is there."""
    lines = daemon.said(REFUSED)
    return lines[number - 1] if len(lines) >= number else {}


async def test_whatever_is_wrong_changes_nothing(workspace: Workspace) -> None:
    """A reload with any error in it changes nothing, is counted as failed, and is logged with its
    reason.

    One error after the other, each beside a good change: YAML that is none, a hook that cannot be,
    a secret that is missing, an unknown setting, Kafka settings that cannot change. 1. Each reload
    is counted as failed, and the log names what is wrong. 2. The next event goes by the old table.
    3. Corrected, it takes effect.
    """
    conduct = ReceiverHarness()
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=conduct) as receiver:
        old, new = hook("old", receiver.origin), hook("new", receiver.origin)
        secret = {"key": "X-Key", "source": "fixed", "value": "${env:HOOKSTREAM_NO_SUCH_SECRET}"}
        odd = workspace.hooks_folder / "odd.yaml"

        def bad_yaml() -> None:
            odd.write_text("id: [unclosed\n")

        def bad_hook() -> None:
            workspace.write_hooks(new, hook("bad", "ftp://receiver.example"))

        def missing_secret() -> None:
            workspace.write_hooks(new, hook("bad", receiver.origin, headers=[secret]))

        def unknown_setting() -> None:
            workspace.write_settings(delivery={"concurency": 5})

        def other_kafka() -> None:
            workspace.write_settings(kafka={"group_id": "another"})

        wrongs = {
            bad_yaml: "odd.yaml",
            bad_hook: "hook bad: uri",
            missing_secret: "HOOKSTREAM_NO_SUCH_SECRET",
            unknown_setting: "concurency",
            other_kafka: "changed: kafka",
        }
        workspace.write_hooks(old)
        async with Daemon(workspace.config) as daemon:
            for number, (wrong, why) in enumerate(wrongs.items(), 1):
                workspace.write_hooks(new)
                wrong()
                await _sighup(daemon, FAILED, number)
                refused = await wait_until(partial(_refusal, daemon, number), "its line in the log")
                assert why in str(refused["problems"])
                assert await daemon.sample("hookstream_last_reload_successful") == 0
                assert await daemon.sample("hookstream_hooks") == 1
                value = event(f"e{number}")
                await workspace.cluster.produce(workspace.topic("event"), [value])
                await wait_until(workspace.caught_up, "the event to be settled")
                assert conduct.attempts == {f"e{n}:old": 1 for n in range(1, number + 1)}
                odd.unlink(missing_ok=True)
                workspace.write_settings()
            workspace.write_hooks(new)
            await _sighup(daemon, OK, 1)
            assert await daemon.sample("hookstream_last_reload_successful") == 1
            await workspace.cluster.produce(workspace.topic("event"), [event("last")])
            await wait_until(workspace.caught_up, "the event to be settled")
            assert await daemon.stop() == 0
    assert conduct.attempts["last:new"] == 1
    assert not conduct.attempts["last:old"]
