"""`hookstream hooks seal` on a terminal."""

import re
import sys
from pathlib import Path

from consumer.control.sealed import Unsealer, new_key
from support.command import write_config
from support.terminal import Terminal

CANARY = "canary-of-a-seal"
PUBLIC, PRIVATE = new_key()


async def test_a_secret_that_is_typed_is_not_shown(tmp_path: Path) -> None:
    """On a terminal `seal` asks for the secret, shows nothing of what is typed, and prints the
    sealed value.
    """
    write_config(tmp_path, hooks={"seal_public_key": PUBLIC})
    config = str(tmp_path / "config" / "hookstream.yaml")
    words = ("hooks", "seal", "--uri", "https://a.example.com/x", "--config", config)
    terminal = Terminal(sys.executable, "-m", "consumer", *words)
    await terminal.start()
    await terminal.until("Secret: ")
    terminal.type(f"{CANARY}\n")
    assert await terminal.end() == 0, terminal.text
    assert CANARY not in terminal.text
    [body] = re.findall(r"\$\{sealed:([\w-]+)\}", terminal.text)
    assert Unsealer([PRIVATE]).open(body, "https://a.example.com") == CANARY
