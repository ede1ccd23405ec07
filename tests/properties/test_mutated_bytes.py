"""Good hooks and good events with bytes changed at random: refused, or still one honest request."""

import contextlib
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.delivery.http.request import RequestBuilder, delivery_id
from consumer.delivery.http.values import RejectedError
from consumer.errors import ConfigError
from consumer.events.decode import Decoder
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import FileSource, load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook
from consumer.matching.store import make_index
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord
from support.strict_http import Parsed, on_the_wire

HOOK = b"""\
id: click
name: Click analytics
trigger: push_click
select: [spring, "17"]
uri: https://receiver.example:8443/collect/{campaign}?v=1
uri_parameters:
  campaign: {label: Campaign code, default: none}
headers:
  - {key: X-Key, source: fixed, value: "Bearer ${env:KEY}"}
  - {key: X-City, source: profile, value: city, missing: empty}
parameters: &shared
  - {key: uid, source: profile, value: id}
  - {key: data, source: event, value: data}
timeout: 10s
signing_secrets: [whsec_a2V5a2V5a2V5a2V5a2V5a2V5]
"""
EVENT = """{"id": "e.1", "occurred_at": "2026-11-24T10:00:00.123Z", "app": "shop",
 "user": {"id": "u42", "attributes": {"city": "İstanbul", "x": ["gold", 7, null, true]}},
 "notification": {"id": "spring", "hooks": {"click": {"campaign": "a b/.."}},
                  "buttons": {"buy": {"hooks": {}}}},
 "data": {"action_id": "buy", "price": 1.5e3}}""".encode()
SPICE = [
    b"\r\n", b"\x00", b"..", b"%2e", b"/", b"//", b"@", b"\\", b"#", b"?", b"&", b"{", b"}", b"[",
    b"]", b'"', b"'", b": ", b"- ", b"*", b"&a ", b"*shared", b"<<", b"|", b">", b"!!str ",
    b"---\n", b"\t", b"\xff", "\u2028".encode(), "\u202e".encode(), b"0x7f.1", b"[::1]", b"file:",
    b"${env:", b"${env:KEY}", b"host", b"null", b"1e999", b"\\ud800", b"\\u0000", b"Host: x\r\n",
]  # fmt: skip


class Change(NamedTuple):
    """At a place counted in thousandths of the text: take out some bytes, put in others."""

    place: int
    out: int
    put: bytes


CHANGES = st.lists(
    st.builds(
        Change,
        st.integers(0, 1_000),
        st.sampled_from([0, 0, 1, 4, 60]),
        st.sampled_from(SPICE) | st.binary(max_size=4),
    ),
    max_size=5,
)


def changed(text: bytes, changes: list[Change]) -> bytes:
    """`text` with all changes made, one after the other."""
    for place, out, put in changes:
        at = place * len(text) // 1_000
        text = text[:at] + put + text[at + out :]
    return text


def load(folder: Path, content: bytes) -> FileSource | None:
    """The table of a file with this content; None where it is refused, in sentences."""
    (folder / "hook.yaml").write_bytes(content)
    try:
        return load_hooks(folder, LoadContext(SecretReader({"KEY": "canary"}, ["KEY"])))
    except ConfigError as error:
        problems = error.diagnostics
    assert all(problem.message and problem.hint for problem in problems)
    assert "canary" not in "".join(map(str, problems))
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the hooks; every example writes its own."""
    return tmp_path_factory.mktemp("hooks")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(hook=CHANGES, event=CHANGES)
def test_what_survives_changes_is_one_request(
    folder: Path, hook: list[Change], event: list[Change]
) -> None:
    """Hooks and events with randomly changed bytes are refused, or still make one well-formed
    request.

    1. A file of hooks with changed bytes loads, or is refused in sentences. 2. A record with
    changed bytes is an event, or undecodable. 3. Whatever both survive: a strict parser reads one
    request, to the definition's own origin, with the headers that were meant.
    """
    table = load(folder, changed(HOOK, hook)) or load(folder, HOOK)
    assert table is not None
    with contextlib.suppress(UndecodableError, RejectedError):
        decoded = Decoder("push_click")(FakeRecord(changed(EVENT, event)))
        make_index(table.hooks).match(decoded)
        for one in table.hooks.values():
            builder = RequestBuilder(one, timeout=10.0, connect_timeout=3.0)
            request = builder.build(decoded, delivery_id(decoded.id, one.id), 1.0)
            assert request.url.startswith(one.origin + "/")
            _check(Parsed(on_the_wire(request, one.origin)), one)


def _check(parsed: Parsed, hook: Hook) -> None:
    assert parsed.messages == 1
    assert parsed.target.isascii()
    ours = {b"host", b"user-agent", b"webhook-id", b"webhook-timestamp", b"webhook-signature"}
    names = [name.lower() for name, _ in parsed.headers]
    assert len(set(names)) == len(names)
    assert set(names) - ours <= {header.name.lower().encode() for header in hook.headers}


def test_the_seeds_are_good(folder: Path) -> None:
    """The unchanged seeds of the mutation test load and make a request."""
    table = load(folder, HOOK)
    assert table is not None
    assert make_index(table.hooks).match(Decoder("push_click")(FakeRecord(EVENT)))
