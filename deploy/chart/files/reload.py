"""Sends the daemon in this pod a SIGHUP when its settings or hooks have changed.

Kubernetes exchanges a mounted ConfigMap by a symbolic link, `..data`, in each folder. The daemon
reloads all or nothing, so a signal too many does no harm. Runs in a container of its own, which
shares the pod's process namespace.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 2.0


def versions(folders: Sequence[str]) -> Sequence[str]:
    """The target of each folder's link; empty without one."""
    found = []
    for folder in folders:
        try:
            found.append(str((Path(folder) / "..data").readlink()))
        except OSError:
            found.append("")
    return found


def daemons(proc: Path) -> Sequence[int]:
    """The processes that are `hookstream run`."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has ended
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "run" in words and any(word.endswith("hookstream") for word in words):
                found.append(int(entry.name))
    return found


def main(
    folders: Sequence[str],
    proc: Path = Path("/proc"),
    *,
    wait: Callable[[float], object] = time.sleep,
    kill: Callable[[int, int], object] = os.kill,
) -> None:
    """Watch `folders` until the container ends."""
    seen = versions(folders)
    while True:
        wait(POLL_SECONDS)
        now = versions(folders)
        if now == seen:
            continue
        seen = now
        for pid in daemons(proc):
            with suppress(ProcessLookupError):
                kill(pid, signal.SIGHUP)
                print(f"settings or hooks have changed: SIGHUP to process {pid}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
