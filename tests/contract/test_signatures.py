"""Signed requests over real sockets, checked by the code that docs/signatures.md shows people."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from standardwebhooks import Webhook, WebhookVerificationError

from consumer.delivery.http.request import RequestBuilder, delivery_id
from consumer.delivery.http.transport import Transport
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from support.attempts import answer_of
from support.fakes import make_event
from support.project import ROOT
from support.received import Received, parse
from support.receiver import Receiver

OLD = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQh"
NEW = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXchIQ=="
"""The prefix is a matter of taste."""
Verify = Callable[[str, dict[str, str]], Any]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Verify]:
    """The functions of the page, as written, in the environment that it asks for."""
    monkeypatch.setenv("WEBHOOK_SECRET", OLD)
    monkeypatch.setenv("NEW_WEBHOOK_SECRET", NEW)
    page = (ROOT / "docs" / "signatures.md").read_text()
    functions: dict[str, Any] = {}
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    for block in blocks:
        exec(compile(dedent(block), "docs/signatures.md", "exec"), functions)  # noqa: S102
    assert len(blocks) == 2
    return functions


async def _sent(transport: Transport, folder: Path, secrets: list[str]) -> Received:
    """The request of a hook with these secrets, as a receiver had it on the wire."""
    names = [f"SECRET_{number}" for number in range(len(secrets))]
    async with Receiver() as receiver:
        definition = {
            "id": "signed",
            "trigger": "event",
            "uri": f"{receiver.origin}/collect/{{c}}?q=1",
            "uri_parameters": {"c": {"label": "Code", "default": "a b/ş"}},
            "parameters": [{"key": "uid", "source": "event", "value": "user"}],
            "signing_secrets": [f"${{env:{name}}}" for name in names],
        }
        (folder / "hook.yaml").write_text(yaml.safe_dump(definition))
        environ = dict(zip(names, secrets, strict=True))
        hook = load_hooks(folder, LoadContext(SecretReader(environ, names))).hooks["signed"]
        event = make_event({"id": "click.1", "user": 'Ü "quoted" \\ & more'})
        builder = RequestBuilder(hook, timeout=10.0, connect_timeout=10.0)
        request = builder.build(event, delivery_id(event.id, hook.id), time.time())
        assert (await answer_of(transport, request)).status == 200
        [head] = receiver.requests
    return parse(head)


async def test_the_page_verifies_what_is_sent(
    transport: Transport, shown: dict[str, Verify], tmp_path: Path
) -> None:
    """The lines that docs/signatures.md gives receivers accept a request of the daemon's, and
    refuse one that differs in target, id or time.
    """
    request = await _sent(transport, tmp_path, [OLD])
    shown["verify"](request.target, request.headers)
    for changed in (
        {"webhook-id": request.webhook_id + "x"},
        {"webhook-timestamp": str(int(request.headers["webhook-timestamp"]) - 1)},
    ):
        with pytest.raises(WebhookVerificationError):
            shown["verify"](request.target, request.headers | changed)
    with pytest.raises(WebhookVerificationError):
        shown["verify"](request.target + "&uid=other", request.headers)


async def test_an_old_request_is_refused(
    transport: Transport, shown: dict[str, Verify], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver refuses a request that was intercepted and is replayed minutes later."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 400)
    request = await _sent(transport, tmp_path, [OLD])
    with pytest.raises(WebhookVerificationError, match="too old"):
        shown["verify"](request.target, request.headers)


async def test_a_new_secret_takes_over(
    transport: Transport, shown: dict[str, Verify], tmp_path: Path
) -> None:
    """A secret is rotated without a gap: a receiver that holds both secrets verifies before and
    after.

    1. Only the old one is set: a receiver that holds both verifies. 2. The new one stands first,
    and signs: the same receiver verifies, one with the old one alone does not.
    """
    before = await _sent(transport, tmp_path, [OLD])
    shown["verify_any"](before.target, before.headers)
    during = await _sent(transport, tmp_path, [NEW, OLD])
    shown["verify_any"](during.target, during.headers)
    Webhook(NEW).verify(_payload(during), during.headers)
    with pytest.raises(WebhookVerificationError):
        shown["verify"](during.target, during.headers)


def _payload(request: Received) -> str:
    """The signed text, as the contract spells it: what needs an escape in JSON is encoded."""
    return f'"{request.target}"'
