"""The authorities of receivers' certificates are renewed in place under a running daemon."""

import os
import signal
import ssl
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.daemon import Daemon, InProcess
from support.receiver import Receiver
from support.tls import server_context
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

TLS_ERRORS = 'hookstream_attempts_total{hook="a",status="tls"}'
RELOADS = 'hookstream_reloads_total{result="ok"}'
REFUSED = 'hookstream_reloads_total{result="failed"}'
HALF = b"-----BEGIN CERTIFICATE-----\nhalf"
LOAD_REFUSED = "reload refused; the old settings and hooks stay"


def write(file: Path, text: bytes) -> None:
    """Replace the file by rename, as a careful program does."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(text)
    os.replace(fresh, file)  # noqa: PTH105  # the word of the case


async def count_rises(daemon: Daemon, series: str, *, after: signal.Signals) -> None:
    """Send the signal, and wait until the counter has risen."""
    before = await daemon.sample(series)
    daemon.signal(after)

    async def risen() -> bool:
        return await daemon.sample(series) > before

    await wait_until(risen, f"{series} to rise")


reloaded = partial(count_rises, series=RELOADS, after=signal.SIGHUP)
refused = partial(count_rises, series=REFUSED, after=signal.SIGHUP)


class Site:
    """A daemon's workspace, and a receiver with a certificate of the second of two authorities."""

    def __init__(self, workspace: Workspace, receiver: Receiver, *authorities: trustme.CA) -> None:
        self.workspace = workspace
        self.receiver = receiver
        self.first, self.second = (each.cert_pem.bytes() for each in authorities)
        self.bundle = workspace.folder / "ca.pem"

    def configure(self, transport: str, **network: Any) -> None:
        """Write the settings."""
        self.workspace.write_settings(
            network={"allow": ["127.0.0.0/8"], **network}, delivery={"transport": transport}
        )

    async def produce(self, event_id: str) -> None:
        """One event, for one request."""
        await self.workspace.cluster.produce(self.workspace.topic("event"), [event(event_id)])

    async def is_refused(self, daemon: Daemon, event_id: str) -> None:
        """An event's delivery ends in a TLS error, and its request does not arrive."""
        requests, errors = len(self.receiver.requests), await daemon.sample(TLS_ERRORS)
        await self.produce(event_id)

        async def failed() -> bool:
            return await daemon.sample(TLS_ERRORS) > errors

        await wait_until(failed, "a TLS error")
        assert len(self.receiver.requests) == requests

    async def arrives(self, number: int) -> None:
        """All deliveries have ended, `number` requests in all have arrived."""
        await wait_until(self.workspace.caught_up, "the deliveries to end")
        assert len(self.receiver.requests) == number


@pytest.fixture
async def site(workspace: Workspace) -> AsyncIterator[Site]:
    """With a file that holds the first authority."""
    first, second = trustme.CA(), trustme.CA()
    async with Receiver(tls=server_context(second, "127.0.0.1")) as receiver:
        site = Site(workspace, receiver, first, second)
        write(site.bundle, site.first)
        await workspace.create_topics(partitions=1)
        workspace.write_hooks(hook("a", receiver.origin))
        yield site


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_a_renewed_ca_file_is_in_force_after_sighup(site: Site, transport: str) -> None:
    """After a reload new connections trust exactly the authorities that the file holds then: one
    that was added is trusted, one that was removed is not, and a broken file refuses the reload.
    """
    site.configure(transport, ca_file=str(site.bundle))
    async with Daemon(site.workspace.config) as daemon:
        await site.is_refused(daemon, "refused")
        write(site.bundle, site.first + site.second)
        await reloaded(daemon)
        await site.arrives(1)
        write(site.bundle, HALF)
        await refused(daemon)
        [line] = daemon.said(LOAD_REFUSED)
        [problem] = line["problems"]
        assert f"network.ca_file: names {site.bundle}, which holds no certificate" in problem
        assert "write the authorities into it, in PEM" in problem
        write(site.bundle, site.first)
        await reloaded(daemon)
        await site.is_refused(daemon, "late")


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_the_systems_authorities_are_in_force_after_sighup(
    site: Site, transport: str
) -> None:
    """A broken file of the system's authorities refuses the reload in a line that names it and a
    hint, and what was trusted before stays trusted; a good one is in force after a reload.
    """
    site.configure(transport)
    write(site.bundle, site.second)
    system = {"SSL_CERT_FILE": str(site.bundle), "SSL_CERT_DIR": str(site.workspace.folder / "no")}
    async with Daemon(site.workspace.config, system) as daemon:
        await site.produce("good")
        await site.arrives(1)
        write(site.bundle, HALF)
        await refused(daemon)
        [line] = daemon.said(LOAD_REFUSED)
        [problem] = line["problems"]
        assert problem.startswith(f"{site.bundle}: holds no certificate that can be read (")
        assert "network.ca_file" in problem
        await site.produce("still good")
        await site.arrives(2)
        write(site.bundle, site.first)
        await reloaded(daemon)
        await site.is_refused(daemon, "late")


async def test_another_ca_file_is_in_force_after_sighup(site: Site) -> None:
    """A reload whose settings name another file of authorities puts those in use, and one that
    names none the system's.
    """
    other = site.bundle.with_name("other.pem")
    write(other, site.second)
    site.configure("curl", ca_file=str(site.bundle))
    async with Daemon(site.workspace.config) as daemon:
        await site.is_refused(daemon, "refused")
        site.configure("curl", ca_file=str(other))
        await reloaded(daemon)
        await site.arrives(1)
        site.configure("curl")
        await reloaded(daemon)
        await site.is_refused(daemon, "late")


async def test_a_reload_reads_authorities_in_its_thread(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop reads no file of authorities: neither a slow disk nor a large file holds up
    deliveries during a reload.
    """
    threads: set[threading.Thread] = set()
    make = ssl.create_default_context

    def note(*args: Any, **named: Any) -> ssl.SSLContext:
        threads.add(threading.current_thread())
        return make(*args, **named)

    site.configure("curl", ca_file=str(site.bundle))
    async with InProcess(site.workspace.config) as daemon:
        monkeypatch.setattr(ssl, "create_default_context", note)
        write(site.bundle, site.second)
        daemon.app.reloader.request()

        async def has_reloaded() -> float:
            return await daemon.sample(RELOADS)

        await wait_until(has_reloaded, "the reload")
        await site.produce("good")
        await site.arrives(1)
    assert threads
    assert threading.main_thread() not in threads
