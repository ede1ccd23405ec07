"""A network of its own, in which every address of IPv4 and IPv6 is this machine, with real DNS.

Run as a program inside fresh user, network and mount namespaces (`run_inside`): routes make all
addresses local, one server listens at all of them, a resolver answers on port 53, and
`/etc/resolv.conf` names it. So every dial reaches the server, which knows from its socket what was
dialled. Needs Linux, `unshare` and `ip`; some systems let no plain user do this.
"""

import asyncio
import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from consumer.clock import SystemClock
from consumer.delivery.egress.guard import EgressPolicy, OwnEndpoint
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import Transport
from support.attempts import answer_of, get, trusting

TIME_LIMIT = 120.0
PORT = 8080
_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
_SCRIPT = """
mount --bind "$1" /etc/resolv.conf
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
ip addr add 2001:db8::1/128 dev lo nodad
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
shift
exec "$@"
"""
"""The two addresses are for `getaddrinfo`: it asks for families only that the machine has."""
_RECORDS = {"A": 1, "CNAME": 5, "AAAA": 28}


class Told(NamedTuple):
    """The outcome of one request."""

    status: int
    error: str
    detail: str
    dialled: list[str]
    """The addresses that TCP connections were made to, in order."""


@cache
def unavailable() -> str:
    """The reason why there can be no such network here; empty if there can."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare and ip are not installed"
    done = subprocess.run(
        [*_UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False
    )
    return done.stderr.decode().strip() if done.returncode else ""


def run_inside(
    transport: str,
    urls: Sequence[str],
    *,
    names: Mapping[str, Sequence[Sequence[str]]] | None = None,
    allow: Sequence[str] = (),
    own: Sequence[str] = (),
    location: str = "",
) -> list[Told]:
    """Send a request to each URL, one after the other, each on new connections.

    Args:
        transport: `curl` or `aiohttp`.
        urls: the port of all is `PORT`.
        names: for each name its answers, one after the other; the last one stays. An answer is a
            list of addresses, a name among them is an alias.
        allow: as in `network.allow`.
        own: `host:port` of what is the daemon's.
        location: where the server redirects to; empty: it says 200.
    """
    task = {"transport": transport, "urls": urls, "names": names or {}, "allow": allow,
            "own": own, "location": location}  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolv:
        resolv.write("nameserver 127.0.0.1\noptions attempts:1 timeout:5\n")
        resolv.flush()
        done = subprocess.run(
            [*_UNSHARE, "sh", "-ec", _SCRIPT, "sh", resolv.name,
             sys.executable, "-m", "support.own_network"],
            input=json.dumps(task).encode(), capture_output=True, timeout=TIME_LIMIT, check=False,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return [Told(*row) for row in json.loads(done.stdout)]


# What follows runs inside.


class _Resolver(asyncio.DatagramProtocol):
    """Answers by RFC 1035, with a time to live of 0."""

    def __init__(self, names: dict[str, list[list[str]]]) -> None:
        self._names = names
        self._asked: dict[str, set[int]] = {}
        """For each name the types that its present answer was asked for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        end = data.index(0, 12) + 1
        name = _name(data[12:end])
        (kind,) = struct.unpack_from("!H", data, end)
        answers = self._answers(name, kind)
        found = b"".join(_record(owner, kind, text) for owner, kind, text in answers)
        code = 0 if name in self._names else 3
        head = struct.pack("!2sHHHHH", data[:2], 0x8180 | code, 1, len(answers), 0, 0)
        self._transport.sendto(head + data[12 : end + 4] + found, address)  # type: ignore[attr-defined]

    def _answers(self, name: str, kind: int) -> list[tuple[str, int, str]]:
        """Owner, type and text of each record for a question."""
        listed, asked = self._names.get(name, [[]]), self._asked.setdefault(name, set())
        if kind in asked:  # a new lookup: each asks for A and AAAA, in any order
            asked.clear()
            if len(listed) > 1:
                del listed[0]
        asked.add(kind)
        answers = []
        for text in listed[0]:
            try:
                own = _RECORDS["A" if ip_address(text).version == 4 else "AAAA"]
            except ValueError:
                answers += [(name, _RECORDS["CNAME"], text), *self._answers(text, kind)]
            else:
                answers += [(name, own, text)] if own == kind else []
        return answers


def _name(labels: bytes) -> str:
    parts = []
    while labels[0]:
        parts.append(labels[1 : labels[0] + 1].decode())
        labels = labels[labels[0] + 1 :]
    return ".".join(parts).lower()


def _labels(name: str) -> bytes:
    parts = (bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"".join(parts) + b"\0"


def _record(owner: str, kind: int, text: str) -> bytes:
    data = _labels(text) if kind == _RECORDS["CNAME"] else ip_address(text).packed
    return _labels(owner) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


class _Everywhere:
    """A server at every address that notes which one was dialled."""

    def __init__(self, location: str) -> None:
        self.dialled: list[str] = []
        status = f"302 Found\r\nLocation: {location}" if location else "200 OK"
        self._response = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def listen(self) -> None:
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            listener = socket.create_server((host, PORT), family=family)
            await asyncio.start_server(self._serve, sock=listener)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(writer.get_extra_info("sockname")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._response.encode())
        writer.close()


async def _main(task: dict[str, Any]) -> list[Told]:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        lambda: _Resolver(task["names"]), local_addr=("127.0.0.1", 53)
    )
    everywhere = _Everywhere(task["location"])
    await everywhere.listen()
    told = []
    own = [OwnEndpoint.of(server, "ours") for server in task["own"]]
    for number, url in enumerate(task["urls"]):
        # One that differs in nothing but a port begins new connections and new lookups.
        policy = EgressPolicy.of(allow=[*task["allow"], f"192.0.2.1:{number + 1}"], own=own)
        if number == 0:
            transport: Transport = (
                CurlTransport(loop, policy, trusting())
                if task["transport"] == "curl"
                else AiohttpTransport(loop, policy, trusting(), clock=SystemClock())
            )
        transport.set_policy(policy)
        answer = await answer_of(transport, get(url))
        told.append(
            Told(answer.status, answer.error or "", answer.detail, everywhere.dialled.copy())
        )
        everywhere.dialled.clear()
    await transport.close()
    return told


if __name__ == "__main__":
    json.dump(asyncio.run(_main(json.load(sys.stdin))), sys.stdout)
