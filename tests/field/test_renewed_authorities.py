"""The authorities of receivers' certificates are renewed in place under a running daemon."""

import os
import signal
from pathlib import Path

import pytest
import trustme

from support.daemon import Daemon
from support.receiver import Receiver
from support.tls import server_context
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

TLS_ERRORS = 'hookstream_attempts_total{hook="a",status="tls"}'
RELOADS = 'hookstream_reloads_total{result="ok"}'
REFUSED = 'hookstream_reloads_total{result="failed"}'


def write(file: Path, text: bytes) -> None:
    """Replace the file by rename, as a careful program does."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(text)
    os.replace(fresh, file)  # noqa: PTH105  # the word of the case


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_a_renewed_ca_file_is_in_force_after_sighup(
    workspace: Workspace, transport: str
) -> None:
    """After a reload new connections trust exactly the authorities that the file holds then: one
    that was added is trusted, one that was removed is not, and a broken file refuses the reload.
    """
    first, second = trustme.CA(), trustme.CA()
    bundle = workspace.folder / "ca.pem"
    write(bundle, first.cert_pem.bytes())
    async with Receiver(tls=server_context(second, "127.0.0.1")) as receiver:
        await workspace.create_topics(partitions=1)
        workspace.write_settings(
            network={"ca_file": str(bundle), "allow": ["127.0.0.0/8"]},
            delivery={"transport": transport},
        )
        workspace.write_hooks(hook("a", receiver.origin))
        topic = workspace.topic("event")
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(topic, [event("refused")])
            await wait_until(lambda: daemon.sample(TLS_ERRORS), "a TLS error")
            write(bundle, first.cert_pem.bytes() + second.cert_pem.bytes())
            daemon.signal(signal.SIGHUP)
            await wait_until(workspace.caught_up, "the delivery, over a trusted connection")
            assert len(receiver.requests) == 1
            write(bundle, b"-----BEGIN CERTIFICATE-----\nhalf")
            daemon.signal(signal.SIGHUP)
            await wait_until(lambda: daemon.sample(REFUSED), "the reload to be refused")
            write(bundle, first.cert_pem.bytes())
            before, errors = await daemon.sample(RELOADS), await daemon.sample(TLS_ERRORS)
            daemon.signal(signal.SIGHUP)

            async def reloaded() -> bool:
                return await daemon.sample(RELOADS) > before

            await wait_until(reloaded, "the reload")
            await workspace.cluster.produce(topic, [event("late")])

            async def refused() -> bool:
                return await daemon.sample(TLS_ERRORS) > errors

            await wait_until(refused, "the removed authority to be refused")
            assert len(receiver.requests) == 1
