"""Folders that are filled once and kept for every later run."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

Fetch = Callable[[Path], None]
"""Fills a folder that is there and empty."""


def filled_folder(cache: Path, sources: Iterable[Path], fetch: Fetch) -> Path:
    """A folder below `cache`, filled at the first call.

    It is named after the content of its sources, so an upgrade never meets old files, and it
    appears with one rename, so it is complete or absent. Runs side by side wait for the first
    one's lock.
    """
    cache.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources))
    ready = cache / digest.hexdigest()[:12]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.is_dir():
            with tempfile.TemporaryDirectory(dir=cache, prefix="partial-") as partial:
                made = Path(partial) / "made"
                made.mkdir()
                fetch(made)
                os.replace(made, ready)  # noqa: PTH105 a rename of a folder, not a move
    return ready
