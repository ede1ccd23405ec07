"""Mounts and folders that are exchanged while the daemon reads them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.configuration import read_config
from support.early import EarlyDaemon
from support.mount import Mount
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

FILES = 6
MANY = 4_000
"""Hooks whose file takes long enough to read that something can happen meanwhile."""


def documents(*hooks: dict[str, Any]) -> str:
    """A file's text."""
    return yaml.safe_dump_all(hooks, allow_unicode=True, sort_keys=False)


def many(origin: str) -> str:
    """A long file of hooks that never fire."""
    text = "id: m{0}\ntrigger: geofence\nuri: {1}/m{0}"
    return "\n---\n".join(text.format(number, origin) for number in range(MANY))


@pytest.mark.parametrize("moved_to", ["a.yaml", "z.yaml"])
async def test_a_hook_that_moves_during_a_reload_stays(workspace: Workspace, moved_to: str) -> None:
    """A reload puts the old or the new generation of a Kubernetes mount in use and never parts of
    both: a hook that moves from one file to another while they are read is neither lost nor
    refused as a double.

    1. The daemon runs with hook `x` in one file. 2. The mount is exchanged for an equal one, so
    that a reload reads every file. 3. When the first file was read and the last one was not, the
    mount is exchanged: `x` is in the other file. 4. The reload is good, and an event is delivered
    for `x`.
    """
    moved_from = {"a.yaml": "z.yaml", "z.yaml": "a.yaml"}[moved_to]
    await workspace.create_topics()
    async with Receiver() as receiver:
        x, y, z = (hook(name, receiver.origin) for name in "xyz")
        middle = many(receiver.origin)
        old = {moved_from: documents(x, y), "m.yaml": middle, moved_to: documents(z)}
        new = {moved_from: documents(y), "m.yaml": middle, moved_to: documents(x, z)}
        workspace.hooks_folder.rmdir()
        mount = Mount(workspace.hooks_folder, old)
        workspace.write_settings()
        async with EarlyDaemon(workspace.config) as daemon:
            mount.exchange(old)
            daemon.signal(signal.SIGHUP)
            await daemon.reads((mount.folder / "m.yaml").resolve())
            mount.exchange(new)
            await wait_until(lambda: _reloads(daemon), "the reload to end")
            assert daemon.complaints == []
            assert await daemon.sample("hookstream_hooks") == MANY + 3
            await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
            await wait_until(workspace.caught_up, "the event to be settled")
            assert ids(receiver.requests).keys() >= ids_of("x", ["e1"])


def _reloads(daemon: EarlyDaemon) -> bool:
    return any("reload" in line for line in daemon.events)


def generation(number: int) -> dict[str, str]:
    """Every file of it says which one it is, and one of its hooks moves from file to file."""
    name = f"g{number % 7}"
    texts = {
        f"f{n}.yaml": f"id: f{n}\ntrigger: event\nuri: https://{name}.example/f{n}\n"
        for n in range(FILES)
    }
    moving = f"id: moving\ntrigger: event\nuri: https://{name}.example/moving\n"
    texts[f"f{number % FILES}.yaml"] += f"---\n{moving}"
    texts[f"only-{name}.yaml"] = f"id: only\ntrigger: event\nuri: https://{name}.example/\n"
    return texts


@contextmanager
def storm(step: Callable[[int], object], pause: float) -> Iterator[None]:
    """Do `step` with a rising number, and pauses, in a thread while entered."""
    over = threading.Event()

    def work() -> None:
        for number in count():
            if over.wait(pause):
                return
            step(number)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def hosts_of(config: Path) -> tuple[int, set[str]]:
    """How many hooks are loaded, and the hosts that they name: one for each generation."""
    hooks = read_config(config).definitions.hooks
    return len(hooks), {one.host_key for one in hooks.values()}


def test_a_mount_that_is_exchanged_all_the_time(tmp_path: Path) -> None:
    """Each load while the kubelet exchanges a mount reads one complete generation."""
    mount = Mount(tmp_path / "hooks", generation(0))
    (tmp_path / "hookstream.yaml").write_text("log: {level: info}\n")
    seen: set[str] = set()
    with storm(lambda number: mount.exchange(generation(number)), 0.02):
        while len(seen) < 5:
            hooks, hosts = hosts_of(tmp_path / "hookstream.yaml")
            assert (hooks, len(hosts)) == (FILES + 2, 1)
            seen |= hosts


def test_a_link_that_flips_all_the_time(tmp_path: Path) -> None:
    """Each load while a mount's link flips between two folders without a pause reads one of them
    completely and is never refused.
    """
    mount = Mount(tmp_path / "hooks", generation(0))
    folders = [mount.folder / f"..stays-{number}" for number in range(2)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for name, text in generation(number).items():
            (folder / name).write_text(text)
    (tmp_path / "hookstream.yaml").write_text("log: {level: info}\n")
    seen: set[str] = set()
    with storm(lambda number: mount._rename_to(folders[number % 2]), 0.0):
        while len(seen) < 2:
            hooks, hosts = hosts_of(tmp_path / "hookstream.yaml")
            assert (hooks, len(hosts)) == (FILES + 2, 1)
            seen |= hosts


def test_settings_hooks_and_secrets_of_one_checkout(tmp_path: Path) -> None:
    """Settings, hooks and secrets behind one link, as git-sync has it, are of one generation."""
    for number in range(4):
        folder = tmp_path / f"commit-{number}"
        (folder / "hooks").mkdir(parents=True)
        for name in ("user", "password"):
            (folder / name).write_text(f"g{number}")
        path = tmp_path / "current"
        (folder / "hookstream.yaml").write_text(
            f"kafka: {{group_id: g{number}}}\nhooks: {{path: hooks, secrets: [{path}]}}\n"
        )
        secrets = f"${{file:{path}/user}} ${{file:{path}/password}}"
        (folder / "hooks" / "a.yaml").write_text(
            f"id: a\ntrigger: event\nuri: https://g{number}.example/\n"
            f"headers: [{{key: X-Secret, source: fixed, value: '{secrets}'}}]\n"
        )
    (tmp_path / "current").symlink_to("commit-0")

    def exchange(number: int) -> None:
        (tmp_path / "coming").symlink_to(f"commit-{number % 4}")
        os.replace(tmp_path / "coming", tmp_path / "current")  # noqa: PTH105

    seen: set[str] = set()
    with storm(exchange, 0.05):
        while len(seen) < 3:
            config = read_config(tmp_path / "current" / "hookstream.yaml")
            [a] = config.definitions.hooks.values()
            [header] = a.headers
            group = config.settings.kafka.group_id
            assert a.host_key == f"{group}.example:443"
            assert header.value.text == f"{group} {group}"
            seen.add(group)
