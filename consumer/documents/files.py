"""Files that belong together, read as they were at one moment.

A Kubernetes mount, a checkout or a release folder is exchanged by one rename. Its files, read one
after the other, may be some of the old and some of the new ones.
"""

import os
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, TypeVar

from consumer.errors import ConfigError, Diagnostic

ResultT = TypeVar("ResultT")
Stamp = tuple[int, ...] | None
"""Differs after a file was written or replaced by another one; None: no file."""

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.05
"""Before the second attempt; doubled before each later one: six seconds in all, for files that are
copied one by one."""

_KUBERNETES_LINK = "..data"
"""In a mounted volume: the link to the folder that holds the present files. Each name in the mount
is a link through it, made after it was exchanged."""
_MOST_LINKS = 40
"""Symbolic links in one path, as in Linux."""


class Files:
    """Reads files and folders, and knows whether they have changed since.

    Each symbolic link is read once, so that every path through the same link leads to the same
    folder, even if the link is exchanged meanwhile.
    """

    def __init__(self) -> None:
        self._here = os.getcwd()
        self._folders: dict[str, str] = {}
        """By folder as it was written: its path without links."""
        self._links: dict[str, str | None] = {}
        """By path: the target of a link; None if the path is no link."""
        self._seen: dict[str, tuple[str, Stamp]] = {}
        """By path as it was written: its path without links, and its stamp."""
        self._listed: dict[str, list[str] | None] = {}
        """By folder: its names; None if it could not be read."""
        self._differing = ""
        """A path that was read twice, and not the same both times."""

    def resolve(self, path: str | Path) -> str:
        """The path without links, whether or not it exists. Raises `ValueError` for a name that no
        file can have.
        """
        whole = os.path.join(self._here, path)
        folder, _, name = whole.rpartition("/")
        if name in {"", ".", ".."}:
            return self._resolve(whole)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = self._resolve(folder)
        there = f"{real.rstrip('/')}/{name}"
        link = self._link(there, keep=False)
        if link is None:
            return there
        return self._resolve(link if link.startswith("/") else f"{real}/{link}")

    def open(self, path: str | Path) -> BinaryIO:
        """Open a file for reading. Raises `OSError`."""
        real = self.resolve(path)
        try:
            fd = _open(real)
        except FileNotFoundError:
            self._note(path, real, None)
            fd = _open(path)  # a pipe has no path but the one that was written (/dev/fd/3)
        found = os.fstat(fd)
        if S_ISREG(found.st_mode):  # a pipe can be read once, and has no state to compare
            self._note(path, real, _stamp(found))
        return os.fdopen(fd, "rb")

    def watch(self, path: str | Path) -> str:
        """The path without links of a file that is read in another way: `changed` looks at it too.
        Raises as `resolve` does.
        """
        real = self.resolve(path)
        self._note(path, real, self._stamp(real))
        return real

    def stamp(self, path: str | Path) -> Stamp:
        """The stamp of a file that need not be read again: `changed` looks at it too."""
        real = self.resolve(path)
        stamp = self._stamp(real)
        self._note(path, real, stamp)
        return stamp

    def mode(self, path: str | Path) -> int:
        """The kind of a file, as in `os.stat_result.st_mode`; 0: no file."""
        try:
            return os.stat(self.resolve(path)).st_mode
        except (OSError, ValueError):
            return 0

    def names(self, folder: str | Path) -> list[str]:
        """The names in a folder, sorted; those of a Kubernetes mount are the names in the folder
        that it leads to. Raises `OSError`.
        """
        names: list[str] | None = None
        try:
            names = self._names(folder)
        finally:
            if self._listed.setdefault(os.fspath(folder), names) != names:
                self._differing = os.fspath(folder)
        return names

    def changed(self) -> str:
        """A path that differs from what it was when it was read; empty if there is none.

        A Kubernetes mount that was exchanged after it was read does not count: all its files were
        read in the same folder, and the stamps of these tell whether they changed.
        """
        if self._differing:
            return self._differing
        now = Files()
        for path, (real, stamp) in self._seen.items():
            # A missing file may be there now, behind a link that leads elsewhere.
            if self._stamp(now.resolve(path) if stamp is None else real) != stamp:
                return path
        for folder, names in self._listed.items():
            if _names(now if names is None else self, folder) != names:
                return folder
        for path, link in self._links.items():
            if link is None or _is_of_mount(path, link):
                continue
            if now._link(path, keep=False) != link:
                return path
        return ""

    def _note(self, path: str | Path, real: str, stamp: Stamp) -> None:
        if self._seen.setdefault(os.fspath(path), (real, stamp)) != (real, stamp):
            self._differing = os.fspath(path)

    @staticmethod
    def _stamp(real: str) -> Stamp:
        try:
            return _stamp(os.stat(real))
        except OSError:
            return None

    def _resolve(self, path: str) -> str:
        real, links = "/", 0
        steps = path.split("/")[::-1]
        while steps:
            step = steps.pop()
            if step == "..":
                real = real.rpartition("/")[0] or "/"
            elif step not in {"", "."}:
                here = f"{real.rstrip('/')}/{step}"
                link = self._link(here, keep=bool(steps))
                if link is None:
                    real = here
                    continue
                links += 1
                if links > _MOST_LINKS:  # in a circle: opening this gives the system's error
                    return "/".join([here, *reversed(steps)])
                real = "/" if link.startswith("/") else real
                steps += link.split("/")[::-1]
        return real

    def _link(self, path: str, *, keep: bool) -> str | None:
        """The target of a link. `keep`: whether to remember that it is none, as a folder."""
        if path in self._links:
            return self._links[path]
        try:
            link: str | None = os.readlink(path)
        except FileNotFoundError:
            link = self._coming_link(path)
        except OSError:  # EINVAL: no link
            link = None
        if link is not None or keep:
            self._links[path] = link
        return link

    def _coming_link(self, path: str) -> str | None:
        """The link that a Kubernetes mount will have for a name that is new in it."""
        folder, _, name = path.rpartition("/")
        if name == _KUBERNETES_LINK:
            return None
        data = self._link(f"{folder}/{_KUBERNETES_LINK}", keep=True)
        if data is None:
            return None
        there = self._resolve(data if data.startswith("/") else f"{folder}/{data}")
        return f"{_KUBERNETES_LINK}/{name}" if os.path.lexists(f"{there}/{name}") else None

    def _names(self, folder: str | Path) -> list[str]:
        real = self.resolve(folder)
        names = set(os.listdir(real))
        if _KUBERNETES_LINK in names and self._link(f"{real}/{_KUBERNETES_LINK}", keep=True):
            names -= {name for name in names if self._is_mounted(f"{real}/{name}")}
            names.update(os.listdir(self.resolve(f"{real}/{_KUBERNETES_LINK}")))
        return sorted(names)

    def _is_mounted(self, path: str) -> bool:
        link = self._link(path, keep=False)
        return link is not None and _is_of_mount("", link)


def _names(look: Files, folder: str) -> list[str] | None:
    try:
        return look.names(folder)
    except OSError:
        return None


def _open(path: str | Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _is_of_mount(path: str, link: str) -> bool:
    return path.endswith(f"/{_KUBERNETES_LINK}") or link.startswith(f"{_KUBERNETES_LINK}/")


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


_FILES: ContextVar[Files] = ContextVar("_FILES")


def files() -> Files:
    """The `Files` of the `read_consistently` that this is called in; outside it, a new one."""
    return _FILES.get(None) or Files()


def read_consistently(
    read: Callable[[], ResultT], *, sleep: Callable[[float], None] = time.sleep
) -> ResultT:
    """Call `read` again until nothing that it read by way of `files` changed before its end; its
    result, or what it raises.

    Raises:
        ConfigError: some file kept changing.
    """
    changed = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        known = Files()
        token = _FILES.set(known)
        try:
            result = read()
        except (ConfigError, OSError):  # perhaps because of the mixture
            changed = known.changed()
            if not changed:
                raise
        else:
            changed = known.changed()
            if not changed:
                return result
            del result
        finally:
            _FILES.reset(token)
    message = "kept changing while it was read with the files that belong to it"
    raise ConfigError([Diagnostic(message, "reload when its writer has ended", file=changed)])
