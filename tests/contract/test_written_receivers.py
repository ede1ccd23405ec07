"""The receivers of docs/receivers verify, and store once, what hookstream's own signer signs.

A language whose program is not on the PATH is left out, and the run says so.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from consumer.delivery.http.request import RequestBuilder, delivery_id
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from support.fakes import make_event
from support.written_receivers import RUNTIMES, WrittenReceiver, command

OLD = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQh"
NEW = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXchIQ=="
"""The prefix is a matter of taste."""
FOREIGN = "whsec_Zm9yZWlnbi1mb3JlaWduLWZvcmVpZ24t"
Signed = tuple[str, dict[str, str]]
"""A request's target and headers."""


class Signer:
    """Requests of one hook as the daemon makes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sign(self, event_id: str, secret: str = NEW, *, at: float | None = None) -> Signed:
        """The request for an event, signed with `secret` at a time in epoch seconds, now if None.

        Its target has two slashes at its start, an escaped slash, an ampersand and an apostrophe:
        whatever a framework decodes or tidies up, or an encoder of JSON escapes, is in it.
        """
        definition = {
            "id": "signed",
            "trigger": "event",
            "uri": "https://receiver.example//collect/{c}/it's?q=1",
            "uri_parameters": {"c": {"label": "Code", "default": "a b/ş"}},
            "parameters": [{"key": "uid", "source": "event", "value": "user"}],
            "signing_secrets": ["${env:SECRET}"],
        }
        (self._folder / "hook.yaml").write_text(yaml.safe_dump(definition))
        context = LoadContext(SecretReader({"SECRET": secret}, ["SECRET"]))
        hook = load_hooks(self._folder, context).hooks["signed"]
        event = make_event({"id": event_id, "user": 'Ü "quoted" \\ & more'})
        builder = RequestBuilder(hook, timeout=10.0, connect_timeout=10.0)
        request = builder.build(event, delivery_id(event.id, hook.id), at or time.time())
        lines = [line.decode().split(": ", 1) for line in request.headers]
        return request.target, dict(lines)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """The daemon's side."""
    folder = tmp_path / "hooks"
    folder.mkdir()
    return Signer(folder)


@pytest.fixture(scope="module", params=RUNTIMES, ids=lambda runtime: runtime.name)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of each receiver in turn."""
    if shutil.which(request.param.program) is None:
        pytest.skip(f"{request.param.program} is not on the PATH: {request.param.file} is not run")
    return command(request.param, tmp_path_factory.mktemp("receiver"))


@pytest.fixture(scope="module")
def receiver(
    program: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WrittenReceiver]:
    """A receiver that accepts two secrets, as while one is exchanged."""
    inbox = tmp_path_factory.mktemp("inbox") / "inbox.tsv"
    with WrittenReceiver(program, [NEW, OLD], inbox) as running:
        yield running


def test_a_signed_request_is_stored_once(receiver: WrittenReceiver, signer: Signer) -> None:
    """A receiver of the documentation answers 204 to a request of the daemon's and stores its id,
    time and target, once for all attempts of a delivery, also of attempts that come at once.
    """
    target, headers = signer.sign("valid.1")
    with ThreadPoolExecutor(4) as threads:
        attempts = [threads.submit(receiver.send, target, headers) for _ in range(8)]
    assert [attempt.result() for attempt in attempts] == [204] * 8
    later = signer.sign("valid.1", at=time.time() + 60)  # a retry has another time and signature
    assert receiver.send(*later) == 204
    stored = [line for line in receiver.stored() if line[0] == "valid%2E1:signed"]
    assert stored == [[headers["webhook-id"], headers["webhook-timestamp"], target]]


def test_a_request_signed_with_the_old_secret_is_accepted(
    receiver: WrittenReceiver, signer: Signer
) -> None:
    """A receiver of the documentation that holds two secrets accepts requests signed with either,
    and refuses those of a third.
    """
    assert receiver.send(*signer.sign("old", OLD)) == 204
    assert receiver.send(*signer.sign("new", NEW)) == 204
    assert receiver.send(*signer.sign("foreign", FOREIGN)) == 401
    ids = {line[0] for line in receiver.stored()}
    assert {"old:signed", "new:signed"} < ids
    assert "foreign:signed" not in ids


def test_one_fitting_signature_of_several_is_enough(
    receiver: WrittenReceiver, signer: Signer
) -> None:
    """A receiver of the documentation accepts a request if any of its signatures fits, as Standard
    Webhooks says.
    """
    target, headers = signer.sign("several")
    headers["webhook-signature"] = f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"
    assert receiver.send(target, headers) == 204


def test_a_changed_request_is_refused(receiver: WrittenReceiver, signer: Signer) -> None:
    """A receiver of the documentation answers 401 to a request whose target, id, time or signature
    was changed or left out, 405 to one of another method, and stores none of them.
    """
    target, headers = signer.sign("changed")
    before = receiver.stored()
    second_before = str(int(headers["webhook-timestamp"]) - 1)
    changes = [
        (target + "&uid=other", {}),
        (target.removeprefix("/"), {}),
        (target, {"webhook-id": "other:signed"}),
        (target, {"webhook-id": "ş"}),
        (target, {"webhook-timestamp": second_before}),
        (target, {"webhook-timestamp": "now"}),
        (target, {"webhook-timestamp": "9" * 400}),
        (target, {"webhook-signature": "v1,AAAA"}),
        (target, {"webhook-signature": "ş"}),
    ]
    answers = [receiver.send(changed, headers | change) for changed, change in changes]
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        rest = {key: value for key, value in headers.items() if key != name}
        answers += [receiver.send(target, rest), receiver.send(target, headers | {name: ""})]
    assert answers == [401] * len(answers)
    assert receiver.send(target, headers, method="POST") in {405, 501}
    assert receiver.stored() == before


def test_a_stale_request_is_refused(receiver: WrittenReceiver, signer: Signer) -> None:
    """A receiver of the documentation refuses a request that is older than five minutes, such as
    one that was intercepted and is replayed, or that is as far in the future.
    """
    now = time.time()
    assert receiver.send(*signer.sign("stale", at=now - 400)) == 401
    assert receiver.send(*signer.sign("early", at=now + 400)) == 401
    assert receiver.send(*signer.sign("recent", at=now - 200)) == 204


def test_a_receiver_remembers_over_a_crash(
    program: list[str], signer: Signer, tmp_path: Path
) -> None:
    """A receiver of the documentation that starts on the inbox of a killed one knows the deliveries
    whose lines are complete, and takes one again whose line was torn.
    """
    inbox = tmp_path / "inbox.tsv"
    inbox.write_text("whole:signed\t1\t/\ntorn:sig")
    with WrittenReceiver(program, [NEW], inbox) as receiver:
        assert receiver.send(*signer.sign("whole")) == 204
        torn = signer.sign("torn")
        assert receiver.send(*torn) == 204
        assert receiver.stored() == [
            ["whole:signed", "1", "/"],
            ["torn:signed", torn[1]["webhook-timestamp"], torn[0]],
        ]


def test_a_receiver_without_a_secret_does_not_start(program: list[str], tmp_path: Path) -> None:
    """A receiver of the documentation without a secret ends with a sentence, instead of accepting
    whatever comes.
    """
    environ = {"WEBHOOK_SECRETS": " ", "INBOX": str(tmp_path / "inbox.tsv"), "PORT": "0"}
    path = {"PATH": os.environ["PATH"]}
    ended = subprocess.run(
        program, env=environ | path, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert "WEBHOOK_SECRETS is empty" in ended.stderr
