"""The image's health check: exits with 0 if the daemon or the panel is alive, otherwise with 1.

It is process 1 of the container, and the kernel knows the address on which it listens, even if the
settings file has changed since. If process 1 is another program, the settings are read for the
daemon's admin server: `--config FILE` or the daemon's default, and the environment. Neither is
imported, since this runs every few seconds.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

TIMEOUT_SECONDS = 2.0
"""Time for all attempts together."""
DEFAULT_FILES = ("config/hookstream.yaml", "/etc/hookstream/hookstream.yaml")
SERVERS = {"run", "panel"}
"""The commands that serve `/healthz`."""
LISTEN = "0A"
"""The state of a listening socket in `/proc/net/tcp`."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # not bound to
"""The address of a server that listens at every address."""

Address = tuple[str, int]


def alive(port: int, timeout: float = TIMEOUT_SECONDS, host: str = "127.0.0.1") -> bool:
    """Whether `/healthz` is answered with 200 within `timeout` seconds. It does not use `urllib`,
    which would use the environment's proxy.
    """
    deadline = time.monotonic() + timeout
    answer = b""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            while b"\r\n" not in answer:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                received = connection.recv(1024)
                if not received:
                    return False
                answer += received
    except OSError:
        return False
    return answer.split()[1:2] == [b"200"]


def listening(pids: Sequence[int], proc: Path = Path("/proc")) -> Iterator[Address]:
    """The addresses at which these processes listen, from the kernel's tables."""
    sockets = set()
    for pid in pids:
        with suppress(OSError):  # another user's process
            for entry in (proc / str(pid) / "fd").iterdir():
                with suppress(OSError):  # closed meanwhile
                    sockets.add(str(entry.readlink()))
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / name).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == LISTEN and f"socket:[{rest[5]}]" in sockets:
                    yield _address(local)


def _address(text: str) -> Address:
    """The address in the kernel's form: hexadecimal, each 32 bits in the machine's byte order."""
    digits, _, port = text.partition(":")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004  # IPv4's
    return socket.inet_ntop(family, packed), int(port, 16)


def daemon(proc: Path = Path("/proc")) -> tuple[Sequence[int], Sequence[str]]:
    """The processes that may be the daemon or the panel, and the command line; both are empty
    unless process 1 is one of them or a container's init that has started it.
    """
    try:
        words = (proc / "1/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return (), ()
    if SERVERS.isdisjoint(words) or not any(
        word.endswith(("hookstream", "consumer")) for word in words
    ):
        return (), ()
    children = ""
    with suppress(OSError):
        children = (proc / "1/task/1/children").read_text()
    return (1, *map(int, children.split())), words


def config_of(words: Sequence[str]) -> str | None:
    """The settings file that a command line names."""
    for at, word in enumerate(words):
        if word in {"--config", "-c"}:
            return words[at + 1] if at + 1 < len(words) else None
        if word.startswith("--config="):
            return word.partition("=")[2]
        if word.startswith("-c") and not word.startswith("--"):
            return word.removeprefix("-c")
    return None


def settings(file: str | None, environ: Mapping[str, str]) -> Iterator[Address]:
    """The admin server's addresses by a settings file and the environment, which wins."""
    section = _section(file)
    hosts = environ.get("HOOKSTREAM_ADMIN__HOST") or section.get("host") or "127.0.0.1"
    port = environ.get("HOOKSTREAM_ADMIN__PORT") or section.get("port") or "9464"
    if isinstance(hosts, str):  # a list in JSON, or separated by commas
        hosts = hosts.strip(" []").split(",")
    assert isinstance(hosts, list)  # noqa: S101  # anything else is no list of hosts
    for host in hosts:
        yield str(host).strip(' "'), int(str(port))


def _section(file: str | None) -> Mapping[str, object]:
    found = file or next((one for one in DEFAULT_FILES if Path(one).exists()), None)
    if found is None:
        return {}
    import yaml  # imported here, since it takes longer than all else

    with Path(found).open(encoding="utf-8-sig") as stream:
        # All values are strings, as the daemon reads them; the loader makes no objects.
        document = yaml.load(stream, yaml.CBaseLoader)  # noqa: S506
    section = document.get("admin") if isinstance(document, dict) else None
    values = section if isinstance(section, dict) else {}
    return {key: value for key, value in values.items() if value not in ("", "~", "null")}


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Why the daemon is not alive; empty if it is."""
    own = config_of(arguments)
    pids, words = ((), ()) if own else daemon()
    try:
        addresses = [*listening(pids)] or [*settings(own or config_of(words), environ)]
    except Exception as error:  # noqa: BLE001  # any error of reading the settings
        return f"cannot find the admin server's address: {error}"
    deadline = time.monotonic() + TIMEOUT_SECONDS
    for host, port in addresses:
        remaining = deadline - time.monotonic()
        if remaining > 0 and alive(port, remaining, LOOPBACK.get(host, host)):
            return ""
    return f"not alive at {', '.join(f'{host} port {port}' for host, port in addresses)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ) or 0)
