"""Samples and test sends over the API: the very request, and little of what comes back."""

import asyncio
import re
import shlex
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.control.sealed import new_key, seal
from consumer.delivery.http.authorities import Authorities, read_authorities
from consumer.panel.panel import Panel
from consumer.services.test_sends import NOT_SHOWN
from support.command import CLICK, EVENT, SECRETS, write_config
from support.panel import Client, running_panel, token_entries
from support.receiver import Receiver, Reply, Then, response
from support.special_blocks import HIDING, IPV4, IPV6, METADATA

KEY = SECRETS["ANALYTICS_KEY"]
HOOK_ID = CLICK["id"]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in SECRETS.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that repeats every request's head in its answer."""
    async with Receiver(otherwise=lambda head: response(body=head)) as receiver:
        yield receiver


def _config(folder: Path, *hooks: dict[str, Any], **sections: Any) -> Path:
    write_config(folder, *hooks, panel={"port": 0, "tokens": token_entries()}, **sections)
    return folder / "config" / "hookstream.yaml"


def _hook(origin: str, **more: Any) -> dict[str, Any]:
    return {**CLICK, "uri": f"{origin}/x/{{campaign}}", **more}


@pytest.fixture
async def panel(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Panel]:
    """A panel with a hook in a file."""
    async with running_panel(_config(tmp_path, _hook(receiver.origin))) as panel:
        yield panel


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_a_test_send_is_the_daemons_request(
    tmp_path: Path, receiver: Receiver, transport: str
) -> None:
    """A test sends the daemon's own request, with its secrets and signature, and answers with
    status, time, consequence and the beginning of the answer, in which no secret is shown.
    """
    config = _config(tmp_path, _hook(receiver.origin), delivery={"transport": transport})
    async with running_panel(config) as panel:
        client = Client(panel.url, "editor")
        answer = await client("POST", "/hooks:test", {"hook": HOOK_ID, "event": EVENT})
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["status"], found["delivered"], found["error"]) == (200, True, None)
    assert (found["consequence"], found["delivery"]) == ("delivered", f"click%2E1:{HOOK_ID}")
    times = found["ms"]
    assert times["all"] > 0
    if transport == "curl":  # the other client tells no phases
        assert times["tls"] is None
        assert 0 < times["connect"] <= times["first_byte"] <= times["all"] + 1
    [head] = receiver.requests
    assert f"X-Api-Key: Bearer {KEY}\r\n".encode() in head
    [signature] = [line for line in head.split(b"\r\n") if line.startswith(b"webhook-signature")]
    assert "X-City: İstanbul" in found["answer"]
    assert "X-Api-Key: Bearer [secret]" in found["answer"]
    for secret in (*SECRETS.values(), signature.partition(b": ")[2].decode()):
        assert secret not in answer.body.decode()


async def test_no_answer_is_shown_of_a_hook_with_a_sealed_secret(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Of a hook with a sealed secret no part of an answer is shown, in whatever way the receiver
    repeats it.
    """
    public, private = new_key()
    sealed = seal("c4nary-sealed", receiver.origin, public)
    header = {"key": "X-Seal", "source": "fixed", "value": sealed}
    hook = _hook(receiver.origin, headers=[header])
    keys = {"secrets": list(SECRETS), "seal_private_key": private}
    async with running_panel(_config(tmp_path, hook, hooks=keys)) as panel:
        client = Client(panel.url, "editor")
        answer = await client("POST", "/hooks:test", {"hook": HOOK_ID, "event": EVENT})
    assert answer.status == 200, answer.body
    assert b"X-Seal: c4nary-sealed" in receiver.requests[0]
    assert answer.json["answer"] == NOT_SHOWN


async def test_a_test_send_has_an_id_of_its_own(panel: Panel, receiver: Receiver) -> None:
    """Each test of an event without an id has an id that no other request has, real ones included,
    so that an idempotent receiver drops neither.
    """
    client = Client(panel.url, "editor")
    body = {"hook": HOOK_ID, "event": {key: EVENT[key] for key in EVENT if key != "id"}}
    for _ in range(2):
        answer = await client("POST", "/hooks:test", body)
        assert answer.status == 200, answer.body
    first, second = (re.findall(rb"webhook-id: (\S+)", head)[0] for head in receiver.requests)
    assert first != second
    assert first.startswith(b"test-")


async def test_a_sample_with_an_event_is_the_request_that_is_sent(
    panel: Panel, receiver: Receiver
) -> None:
    """The sample of an event has the path and headers of the request that a test sends, but for
    secrets, which are their references; without an event placeholders stand for values.
    """
    client = Client(panel.url, "editor")
    body = {"hook": HOOK_ID, "event": EVENT}
    sample = (await client("POST", "/hooks:sample", body)).json
    await client("POST", "/hooks:test", body)
    [head] = receiver.requests
    lines = head.decode().split("\r\n")
    shown = sample["url"].removeprefix(receiver.origin)
    assert lines[0] == f"GET {shown} HTTP/1.1".replace("${env:ANALYTICS_KEY}", KEY)
    shape = [line.partition(":")[0] for line in sample["headers"]]
    assert shape == [line.partition(":")[0] for line in lines[3:] if line]
    assert "X-Api-Key: Bearer ${env:ANALYTICS_KEY}" in sample["headers"]
    assert shlex.split(sample["curl"])[0] == "curl"
    template = (await client("POST", "/hooks:sample", {"definition": CLICK})).json
    assert template["url"].startswith("${hook.url}?uid=<profile id>")
    assert "canary" not in str(template) + str(sample)


async def test_why_the_daemon_would_not_send_it(panel: Panel) -> None:
    """A sample or test of an event that the hook does not want says what stops it."""
    other = {**EVENT, "notification": {"id": "other"}}
    for path in ("/hooks:sample", "/hooks:test"):
        found = (await Client(panel.url)("POST", path, {"hook": HOOK_ID, "event": other})).json
        assert "the hook selects spring-sale" in found["stopped"]


async def test_what_cannot_be_sent_is_refused(panel: Panel) -> None:
    """A body without a hook or with two, an unknown hook, a bad definition, a missing secret, and
    an event of which no request can be made are refused with a problem.
    """
    client = Client(panel.url)
    needed = {"key": "x", "source": "event", "value": "data.none", "missing": "reject"}
    missing = {"key": "X-A", "source": "fixed", "value": "${env:CLICK_SECRET_2}"}
    for body, status, words in (
        ({"event": EVENT}, 422, "names no hook, or two"),
        ({"hook": HOOK_ID, "definition": CLICK, "event": EVENT}, 422, "names no hook, or two"),
        ({"hook": "unknown", "event": EVENT}, 404, "no hook has the id unknown"),
        ({"definition": {**CLICK, "uri": "ftp://x"}, "event": EVENT}, 422, "uri"),
        ({"definition": {**CLICK, "headers": [missing]}, "event": EVENT}, 422, "CLICK_SECRET_2"),
        ({"definition": {**CLICK, "parameters": [needed]}, "event": EVENT}, 422, "no request"),
        ({"hook": HOOK_ID, "event": {"id": "x" * 300_000}}, 413, "longer"),
        ({"hook": HOOK_ID, "event": EVENT, "evnt": 1}, 422, "did you mean `event`?"),
    ):
        answer = await client("POST", "/hooks:test", body)
        assert answer.status == status, (words, answer.body)
        assert words in answer.body.decode()


ADDRESSES = sorted(
    {
        *(address for first, last, _ in (*IPV4, *IPV6) for address in (first, last)),
        *METADATA,
        *(address for address in HIDING if "%" not in address),
    }
)


async def test_no_test_goes_to_an_address_that_the_guard_refuses(tmp_path: Path) -> None:
    """A test send to any address of the guard's own tests, of either transport, is blocked, or its
    URI is refused; the answer is small, typed and without anything of a receiver.
    """
    for transport in ("curl", "aiohttp"):
        config = _config(tmp_path, CLICK, network={}, delivery={"transport": transport})
        async with running_panel(config) as panel:
            client = Client(panel.url)
            for address in ADDRESSES:
                host = f"[{address}]" if ":" in address else address
                definition = {**CLICK, "uri": f"http://{host}/x", "uri_parameters": {}}
                body = {"definition": definition, "event": EVENT}
                answer = await client("POST", "/hooks:test", body)
                assert len(answer.body) < 2_000
                if answer.status == 200:
                    found = answer.json
                    assert (found["error"], found["status"]) == ("blocked", None), address
                    assert (found["answer"], found["delivered"]) == ("", False)
                    assert "dead-letter topic: blocked" in found["consequence"]
                else:
                    assert answer.status == 422, answer.body
                    assert [one["field"] for one in answer.json["problems"]] == ["uri"]


async def test_the_panel_and_the_admin_server_are_no_receivers(tmp_path: Path) -> None:
    """A test cannot reach the panel itself, even if all of this machine is allowed."""
    write_config(
        tmp_path, CLICK, network={"allow": ["127.0.0.0/8"]},
        panel={"port": 18_460, "tokens": token_entries()},
    )  # fmt: skip
    async with running_panel(tmp_path / "config" / "hookstream.yaml") as panel:
        for host in ("127.0.0.1", "localhost"):
            definition = {**CLICK, "uri": f"http://{host}:{panel.port}/healthz"}
            body = {"definition": {**definition, "uri_parameters": {}}, "event": EVENT}
            found = (await Client(panel.url)("POST", "/hooks:test", body)).json
            assert (found["error"], found["answer"]) == ("blocked", ""), found
            assert "hookstream's own panel" in found["detail"]


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
@pytest.mark.parametrize(
    ("reply", "status", "answer"),
    [
        (response(302, "Location: http://169.254.169.254/"), 302, ""),
        (response(503, body=b"\x1b]0;x\x07<script>"), 503, "\\x1b]0;x\\x07<script>"),
        (response(body=b"y" * 5_000), 200, "y" * 1024),
        (Reply(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 2_000, Then.CLOSE), 200, "y" * 1024),
        (Reply(b"nonsense\r\n\r\n", Then.CLOSE), None, ""),
    ],
)
async def test_little_and_harmless_is_read_back(
    tmp_path: Path, transport: str, reply: Reply, status: int | None, answer: str
) -> None:
    """Of an answer at most 1 KiB is shown, its control characters escaped; a redirect is not
    followed.
    """
    async with Receiver(reply) as receiver:
        config = _config(tmp_path, _hook(receiver.origin), delivery={"transport": transport})
        async with running_panel(config) as panel:
            client = Client(panel.url)
            found = (await client("POST", "/hooks:test", {"hook": HOOK_ID, "event": EVENT})).json
        assert (found["status"], found["answer"]) == (status, answer)
        assert found["error"] == (None if status else "connect")
        assert len(receiver.requests) == 1


async def test_tests_are_bounded_in_number(panel: Panel) -> None:
    """While eight tests wait for their receivers another one is refused with Retry-After, and other
    requests go on.
    """
    client, hung = Client(panel.url), Reply(then=Then.HANG)
    async with Receiver(otherwise=lambda _head: hung) as slow:
        body = {"definition": _hook(slow.origin, timeout="3s"), "event": EVENT}
        waiting = [asyncio.create_task(client("POST", "/hooks:test", body)) for _ in range(8)]
        await slow.until(requests=8)
        refused = await client("POST", "/hooks:test", body)
        assert (refused.status, refused.kind) == (503, "busy")
        assert (await client("GET", "/hooks")).status == 200
        ended = await asyncio.gather(*waiting)
    assert {one.json["error"] for one in ended} == {"timeout"}


async def test_an_event_is_explained(panel: Panel) -> None:
    """An event is explained for all hooks, each value with its origin, and no secret is shown."""
    client = Client(panel.url, "viewer")
    answer = await client("POST", "/explain", {"event": EVENT})
    assert answer.status == 200, answer.body
    [found] = answer.json["hooks"]
    assert (answer.json["trigger"], found["hook"], found["fires"]) == ("push_click", HOOK_ID, True)
    origins = {(one["name"], one["origin"]): one for one in found["values"]}
    assert origins["X-City", "profile"]["text"] == "İstanbul"
    assert origins["X-Api-Key", "secret"]["text"] is None
    assert "canary" not in answer.body.decode()
    other = {"event": {"id": "x"}, "hook": HOOK_ID}
    assert (await client("POST", "/explain", other)).json["problems"][0]["field"] == "trigger"
    named = await client("POST", "/explain", {**other, "trigger": "event"})
    assert named.json["hooks"][0]["stop"] == "trigger"


async def test_the_form_of_a_notification(panel: Panel) -> None:
    """The form asks for the labelled values of the hooks that fire for a subject."""
    client = Client(panel.url, "viewer")
    form = (await client("GET", "/compose?trigger=push_click&subject=spring-sale")).json
    field = form["properties"][HOOK_ID]["properties"]["campaign"]
    assert (field["title"], field["default"]) == ("Campaign code", "none")
    other = await client("GET", "/compose?trigger=push_click&subject=other")
    assert other.json["properties"] == {}
    assert (await client("GET", "/compose")).status == 422


async def test_a_test_send_reads_authorities_beside_the_loop(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of certificate authorities are read in a thread, and parsed once for all tests."""
    found: list[tuple[threading.Thread, Authorities]] = []

    def read(ca_file: Path | None, before: Authorities | None = None) -> Authorities:
        found.append((threading.current_thread(), read_authorities(ca_file, before)))
        return found[-1][1]

    monkeypatch.setattr("consumer.services.requests.read_authorities", read)
    for _ in range(2):
        sent = await Client(panel.url)("POST", "/hooks:test", {"hook": HOOK_ID, "event": EVENT})
        assert sent.json["delivered"]
    (thread, first), (_, second) = found
    assert thread is not threading.main_thread()
    assert second is first


async def test_numbers_of_an_event_keep_their_digits(panel: Panel, receiver: Receiver) -> None:
    """Numbers of an event that neither 64 bits nor a double can hold reach the sample, the test
    send and the explanation with their digits, as they reach a receiver from a record.
    """
    number = "[123456789012345678901,1e400,0.1000000000000000055511151231257827]"
    sent = "123456789012345678901%2C1e400%2C0.1000000000000000055511151231257827"
    definition = {
        "id": "numbers",
        "trigger": "event",
        "uri": f"{receiver.origin}/x",
        "parameters": [{"key": "n", "source": "event", "value": "data.n"}],
    }
    event = {"id": 1, "data": {"event_key": "k", "n": orjson.Fragment(number)}}
    body = orjson.dumps({"definition": definition, "event": event})
    client = Client(panel.url)
    sample = await client("POST", "/hooks:sample", raw=body)
    assert sample.json["url"].endswith(f"/x?n={sent}")
    test = await client("POST", "/hooks:test", raw=body)
    assert test.json["status"] == 200
    assert f"/x?n={sent} ".encode() in receiver.requests[-1]
    explained = await client("POST", "/explain", raw=orjson.dumps({"event": event}))
    assert explained.status == 200, explained.body


def _with_number(number: str) -> dict[str, Any]:
    when = {"data.n": orjson.Fragment(number)}
    return {"id": "n", "trigger": "event", "uri": "https://a.example.com/", "when": when}


@pytest.mark.parametrize("number", ["123456789012345678901", "1e400"])
async def test_long_numbers_of_a_definition_are_refused(panel: Panel, number: str) -> None:
    """A number of a definition that neither 64 bits nor a double can hold is refused at its field,
    and a decimal that a double rounds is taken.
    """
    client = Client(panel.url)
    refused = await client("POST", "/hooks:check", raw=orjson.dumps(_with_number(number)))
    assert refused.status == 422
    [problem] = refused.json["problems"]
    assert problem["field"] == "when.data.n"
    assert "64 bits" in problem["message"]
    body = orjson.dumps({"definition": _with_number(number)})
    [problem] = (await client("POST", "/hooks:sample", raw=body)).json["problems"]
    assert problem["field"] == "definition.when.data.n"
    rounded = orjson.dumps(_with_number("0.10000000000000000555"))
    taken = await client("POST", "/hooks:check", raw=rounded)
    assert taken.status == 200, taken.body
