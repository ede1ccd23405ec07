"""A panel without a broker, and requests to it in bytes."""

import asyncio
from pathlib import Path
from typing import Any

import yaml

from consumer.configuration import read_settings
from consumer.panel.panel import Panel
from consumer.settings import Settings
from support.broker import free_port


def write_panel(folder: Path, broker: str | None = None, **panel: Any) -> Path:
    """Settings of a panel whose broker is away, or of that one."""
    (folder / "hooks").mkdir(exist_ok=True)
    settings = {
        "kafka": {"bootstrap_servers": broker or f"127.0.0.1:{free_port()}"},
        "hooks": {"live": True},
        "panel": {"port": 0, **panel},
    }
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def changed_settings(folder: Path, **panel: Any) -> Settings:
    """The settings that a panel of `write_panel` gets at a reload."""
    started = yaml.safe_load((folder / "settings.yaml").read_text())
    changed = folder / "changed.yaml"
    changed.write_text(yaml.safe_dump({**started, "panel": {"port": 0, **panel}}))
    return read_settings(changed)[0]


async def raw(panel: Panel, sent: bytes, *more: bytes, peer: str = "127.0.0.1") -> bytes:
    """What comes back for bytes that are sent from the address `peer`, until the panel closes the
    connection.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", panel.port, local_addr=(peer, 0))
    try:
        for part in (sent, *more):
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status_of(answer: bytes) -> int:
    """The status of an answer in bytes; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def head_of(panel: Panel, line: str, *headers: str) -> bytes:
    """The head of a request; `line` is its first line."""
    lines = [line, f"Host: 127.0.0.1:{panel.port}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
