"""The request of a delivery: the rules of docs/reference/hooks.md, one by one."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from standardwebhooks.webhooks import Webhook

from consumer import __version__
from consumer.delivery.http import request
from consumer.delivery.http.request import MAX_URL_BYTES, RequestBuilder, delivery_id
from consumer.delivery.http.transport import Request
from consumer.delivery.http.values import RejectedError, encode
from consumer.events.model import Event
from consumer.hooks.table import MAX_HEADER_VALUE_BYTES, Hook, Missing, UriVariable, Value
from support.fakes import make_brace, make_event, make_hook, make_value

NOW = 1_800_000_000.9
BASE = "https://receiver.example"


def build(hook: Hook, event: Event | None = None) -> Request:
    """The request of `hook` for `event`."""
    builder = RequestBuilder(hook, timeout=10.0, connect_timeout=3.0)
    return builder.build(event or make_event(), "e1:h1", NOW)


def target(event: Mapping[str, object] | None = None, **definition: Any) -> str:
    """The target of a request to a hook with this definition."""
    return build(make_hook(**definition), make_event(event)).url.removeprefix(BASE)


def header_lines(event: Mapping[str, object], **headers: Value) -> list[bytes]:
    """The lines of the headers that the definition has."""
    own = (b"user-agent:", b"webhook-")
    lines = build(make_hook(headers=headers), make_event(event)).headers
    return [line for line in lines if not line.startswith(own)]


def composed(**values: object) -> dict[str, object]:
    """An event whose notification was composed for the hook."""
    return {"id": "e1", "notification": {"id": "n", "hooks": {"h1": values}}}


def test_own_headers_come_with_every_request() -> None:
    """Every request has the headers by which receivers recognise hookstream, the delivery and its
    time.
    """
    assert build(make_hook()).headers == [
        f"user-agent: hookstream/{__version__}".encode(),
        b"webhook-id: e1:h1",
        b"webhook-timestamp: 1800000000",
    ]


@pytest.mark.parametrize(
    ("default", "entry", "values", "expanded"),
    [
        ("d", make_value("event", "data.x"), {"c": "composed"}, "composed"),
        ("d", make_value("event", "data.x"), {"c": ""}, ""),
        ("d", make_value("event", "data.x"), {"c": None}, "entry"),
        ("d", make_value("event", "data.x"), {}, "entry"),
        ("d", make_value("event", "data.none"), {}, "d"),
        ("d", None, {}, "d"),
        ("", None, {}, ""),
        (None, make_value("fixed", "f"), {}, "f"),
        ("d", None, {"c": ["a b", 1, True]}, "a%20b%2C1%2Ctrue"),
        ("d", None, {"c": {"a": 1}}, "%7B%22a%22%3A1%7D"),
        ("d e", None, {}, "d%20e"),
    ],
)
def test_a_uri_variable_takes_the_first_value_there_is(
    default: str | None, entry: Value | None, values: dict[str, object], expanded: str
) -> None:
    """A URI variable takes the composed value, else the parameters entry of the same key, else the
    default.
    """
    variable = make_brace("c", entry=entry, default=default)
    event = {**composed(**values), "data": {"x": "entry"}}
    assert target(event, uri=f"{BASE}/x/{{c}}/y", variables=[variable]) == f"/x/{expanded}/y"


def test_values_composed_for_another_hook_are_not_taken() -> None:
    """Composed values of another hook are not used."""
    event = {"id": "e1", "notification": {"hooks": {"h2": {"c": "other"}}}}
    variables = [make_brace("c", default="own")]
    assert target(event, uri=f"{BASE}/{{c}}", variables=variables) == "/own"


@pytest.mark.parametrize(("missing", "expanded"), [("empty", "/x/"), ("omit", "/x/")])
def test_a_uri_variable_may_be_empty(missing: Missing, expanded: str) -> None:
    """A URI variable without a value may expand to nothing (RFC 6570)."""
    variables = [make_brace("c", missing=missing)]
    assert target(uri=f"{BASE}/x/{{c}}", variables=variables) == expanded


def test_a_uri_variable_without_a_value_rejects() -> None:
    """A URI variable without a value rejects the delivery by default."""
    with pytest.raises(RejectedError, match="URI parameter c has no value"):
        target(uri=f"{BASE}/{{c}}")


@pytest.mark.parametrize(
    ("uri", "parameters", "expected"),
    [
        ("/p", [("uid", "user")], "/p?uid=u%201"),
        ("/p", [("uid", "user"), ("cat", "data.none"), ("k", "data.k")], "/p?uid=u%201&k=v"),
        ("/p", [("cat", "data.none")], "/p"),
        ("/p?a=1", [("uid", "user")], "/p?a=1&uid=u%201"),
        ("/p?a=1", [("cat", "data.none")], "/p?a=1"),
        ("/p?", [("uid", "user")], "/p?uid=u%201"),
        ("/p?a=1&", [("uid", "user")], "/p?a=1&uid=u%201"),
        ("", [("uid", "user")], "/?uid=u%201"),
        ("?a=1", [("uid", "user")], "/?a=1&uid=u%201"),
    ],
)
def test_parameters_are_appended_in_order(
    uri: str, parameters: Sequence[tuple[str, str]], expected: str
) -> None:
    """Parameters are appended in order to a URI with a query, without one, and with one that is
    still open.
    """
    event = {"id": "e1", "user": "u 1", "data": {"k": "v"}}
    pairs = [(key, make_value("event", path)) for key, path in parameters]
    assert target(event, uri=BASE + uri, parameters=pairs) == expected


@pytest.mark.parametrize("value", ["?", "&", "x"])
def test_a_value_at_the_end_does_not_open_a_query(value: str) -> None:
    """A `?` in a value is encoded and does not open a query."""
    pairs = [("k", make_value("fixed", "v"))]
    variables = [make_brace("c", default=value)]
    assert target(uri=f"{BASE}/{{c}}", variables=variables, parameters=pairs).endswith("?k=v")


@pytest.mark.parametrize(
    ("missing", "line", "pair"), [("omit", [], ""), ("empty", [b"X-City: "], "?city=")]
)
def test_missing_says_what_becomes_of_a_value(
    missing: Missing, line: list[bytes], pair: str
) -> None:
    """`missing` decides if an absent value is left out or sent without a value."""
    value = make_value("profile", "city", missing)
    assert header_lines({"id": "e1"}, **{"X-City": value}) == line
    assert target(parameters=[("city", value)]) == "/hook" + pair


def test_missing_reject_rejects() -> None:
    """`missing: reject` rejects the delivery, and the reason names the field."""
    value = make_value("profile", "city", "reject")
    with pytest.raises(RejectedError, match="header X-City has no value"):
        build(make_hook(headers={"X-City": value}))
    with pytest.raises(RejectedError, match="parameter city has no value"):
        build(make_hook(parameters=[("city", value)]))


def test_headers_carry_their_values() -> None:
    """Headers keep the author's order and spelling, are UTF-8, and lose blanks at the ends of
    values.
    """
    event = {"id": "e1", "user": {"attributes": {"city": " İstanbul\t", "tags": ["a", "b"]}}}
    assert header_lines(
        event,
        **{
            "X-City": make_value("profile", "city"),
            "X-Api-Key": make_value("fixed", "k e y"),
            "X-Tags": make_value("profile", "tags"),
        },
    ) == ["X-City: İstanbul".encode(), b"X-Api-Key: k e y", b"X-Tags: a,b"]


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x1b", "\x7f"])
def test_a_control_character_in_a_header_rejects(character: str) -> None:
    """A control character in a header's value rejects the delivery (RFC 9110 section 5.5), and the
    reason does not quote it.
    """
    event = make_event({"id": "e1", "x": f"canary{character}X-Evil: 1"})
    with pytest.raises(RejectedError, match="header X-A") as caught:
        build(make_hook(headers={"X-A": make_value("event", "x")}), event)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("İzmir", b"X-A: %C4%B0zmir"),
        (" a b~", b"X-A: %20a%20b~"),
        ("a\r\nX-Evil: 1", b"X-A: a%0D%0AX-Evil%3A%201"),
        (["ş", "t"], b"X-A: %C5%9F%2Ct"),
        (None, b"X-A: "),
    ],
)
def test_a_header_may_be_percent_encoded(value: object, line: bytes) -> None:
    """A percent-encoded header is ASCII whatever the event holds, and no character of it is
    refused.
    """
    hook = make_hook(headers={"X-A": make_value("event", "x", "empty")})
    hook = replace(hook, headers=(replace(hook.headers[0], encode="percent"),))
    assert build(hook, make_event({"id": "e1", "x": value})).headers[-1] == line


def test_a_percent_encoded_header_is_measured_as_it_is_sent() -> None:
    """The size of a percent-encoded header is its bytes on the wire."""
    hook = make_hook(headers={"X-A": make_value("event", "x")})
    hook = replace(hook, headers=(replace(hook.headers[0], encode="percent"),))
    with pytest.raises(RejectedError, match="header X-A is longer than 4096 bytes"):
        build(hook, make_event({"id": "e1", "x": "ş" * 700}))


def test_a_control_character_in_the_uri_is_encoded() -> None:
    """A control character in a URI's value is percent-encoded."""
    pairs = [("k", make_value("event", "x"))]
    assert target({"id": "e1", "x": "a\r\nb"}, parameters=pairs) == "/hook?k=a%0D%0Ab"


@pytest.mark.parametrize(
    ("uri", "value"),
    [
        ("/a/{c}/b", "."),
        ("/a/{c}/b", ".."),
        ("/a/{c}", ".."),
        ("/a/.{c}/b", "."),
        ("/a/.{c}/b", ""),
        ("/a/%2e{c}/b", "."),
        ("/a/%2E{c}/b", ""),
        ("/a/{c}%2e/b", "."),
        ("/{c}", ".."),
    ],
)
def test_no_value_climbs_in_the_path(uri: str, value: str) -> None:
    """A value that is a dot segment of the path is rejected, since receivers would resolve it (RFC
    3986 section 5.2.4).
    """
    with pytest.raises(RejectedError, match="dot segment"):
        target(uri=BASE + uri, variables=[make_brace("c", default=value)])


@pytest.mark.parametrize(
    ("uri", "value", "expected"),
    [
        ("/a/{c}/b", "...", "/a/.../b"),
        ("/a/{c}/b", ".x", "/a/.x/b"),
        ("/a/{c}/b", "../b", "/a/..%2Fb/b"),
        ("/a/x{c}", "..", "/a/x.."),
        ("/a?q=/{c}", "..", "/a?q=/.."),
    ],
)
def test_other_dots_are_values(uri: str, value: str, expected: str) -> None:
    """Dots in a query or in a part of a segment are sent as they are."""
    assert target(uri=BASE + uri, variables=[make_brace("c", default=value)]) == expected


def test_sizes_are_bounded() -> None:
    """A request up to the size bounds is sent, and one byte more is rejected and not cut."""
    room = MAX_URL_BYTES - len(f"{BASE}/hook?k=")
    parameter, header = [("k", make_value("event", "x"))], {"X": make_value("event", "x")}
    assert len(build(make_hook(parameters=parameter), of_length(room)).url) == MAX_URL_BYTES
    with pytest.raises(RejectedError, match="URI is longer"):
        build(make_hook(parameters=parameter), of_length(room + 1))
    build(make_hook(headers=header), of_length(MAX_HEADER_VALUE_BYTES))
    with pytest.raises(RejectedError, match="header X is longer"):
        build(make_hook(headers=header), of_length(MAX_HEADER_VALUE_BYTES + 1))


@pytest.mark.parametrize("place", ["braces", "parameters"])
def test_nothing_is_rendered_behind_the_end_of_a_uri(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rendering stops at the bound: a hundred values of the largest size cost as much as two."""
    rendered = Mock(wraps=encode)
    monkeypatch.setattr(request, "encode", rendered)
    value = make_value("event", "x")
    if place == "braces":
        names = [f"c{number}" for number in range(100)]
        path = "".join(f"/{{{name}}}" for name in names)
        hook = make_hook(uri=BASE + path, variables=[make_brace(n, entry=value) for n in names])
    else:
        hook = make_hook(parameters=[(f"k{number}", value) for number in range(100)])
    with pytest.raises(RejectedError, match="URI is longer"):
        build(hook, of_length(MAX_URL_BYTES))
    assert rendered.call_count <= 2


def of_length(characters: int) -> Event:
    """An event with a value of that many ASCII characters at `x`."""
    return make_event({"id": "e1", "x": "x" * characters})


def test_a_composed_value_of_any_depth_is_rejected_not_a_crash() -> None:
    """A composed value of any depth is rejected without a crash."""
    deep: Any = "x"
    for _ in range(990):
        deep = [deep]
    event = make_event(composed())
    assert event.notification is not None
    event.notification["hooks"]["h1"]["c"] = deep
    with pytest.raises(RejectedError, match="URI parameter c is nested too deeply"):
        build(make_hook(uri=f"{BASE}/{{c}}"), event)


BRACES: Sequence[UriVariable] = [make_brace("c", default="İ/?&=# %\"'\\")]


def test_a_standard_webhooks_library_verifies_the_signature() -> None:
    """The Standard Webhooks library verifies the signature as the documents tell receivers."""
    keys = (b"k" * 24, b"o" * 24)
    request = build_signed(keys)
    path = request.url.removeprefix(BASE)
    headers = dict(line.decode().split(": ", 1) for line in request.headers)
    Webhook(keys[0]).verify(json.dumps(path), headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(keys[0]).verify(json.dumps(path + "x"), headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(keys[1]).verify(json.dumps(path), headers)


def build_signed(keys: tuple[bytes, ...]) -> Request:
    """A signed request of this moment: the library refuses those of another time."""
    hook = make_hook(uri=f"{BASE}/x/{{c}}?q={{c}}", variables=BRACES, signing_keys=keys)
    builder = RequestBuilder(hook, timeout=10.0, connect_timeout=3.0)
    return builder.build(make_event(), "e1:h1", time.time())


def test_without_a_secret_nothing_is_signed() -> None:
    """A hook without a secret has no signature."""
    assert not any(line.startswith(b"webhook-signature") for line in build(make_hook()).headers)


@pytest.mark.parametrize(
    ("event_id", "hook_id", "expected"),
    [
        ("01JD", "h-1", "01JD:h-1"),
        ("push-click-3-9", "h-1", "push-click-3-9:h-1"),
        ("a.b:c d", "h", "a%2Eb%3Ac%20d:h"),
        ("x" * 200, "h", "x" * 200 + ":h"),
        (
            "x" * 201,
            "h",
            "sha256:84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed:h",
        ),
    ],
)
def test_the_delivery_id_is_made_of_both_ids(event_id: str, hook_id: str, expected: str) -> None:
    """The delivery id joins the ids of event and hook if that fits a header, and is a digest
    otherwise.
    """
    assert delivery_id(event_id, hook_id) == expected
