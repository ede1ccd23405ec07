"""Whatever a definition says and an event holds, what goes out is one well-formed request."""

import contextlib
from itertools import pairwise
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from uritemplate import URITemplate

from consumer.delivery.http.request import RequestBuilder, delivery_id
from consumer.delivery.http.values import RejectedError
from consumer.hooks.table import Missing, Value
from consumer.hooks.value_sources import Source
from support.fakes import make_brace, make_event, make_hook, make_value
from support.strict_http import Parsed, on_the_wire

ORIGIN = "https://receiver.example"
TEXT = st.text() | st.text("\r\n\t :%./?&=#\0ş")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
LITERAL = st.sampled_from(["", "a", "/a/b", "-", "/%C5%9F", "."])
END = st.sampled_from(["", "a", "/a/b"])
QUERY = st.sampled_from(["", "?", "?a=1", "?a=1&", "?q={c}", "?{c}", "?q=/{b}&"])
NAMES = st.sampled_from(["b", "c"])
MISSINGS: tuple[Missing, ...] = ("omit", "empty")
SOURCES: tuple[Source, ...] = ("profile", "device", "event", "fixed")
IDS = st.text(min_size=1)


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A path with up to three braces, and a query."""
    path = "/"
    for _ in range(draw(st.integers(0, 3))):
        path += draw(LITERAL) + "{" + draw(NAMES) + "}"
    return path + draw(END) + draw(QUERY)


@st.composite
def values(draw: st.DrawFn) -> Value:
    """Any value that a header or parameter may have."""
    source = draw(st.sampled_from(SOURCES))
    if source == "fixed":
        return make_value(source, draw(st.sampled_from(["", "k", "a b", "ş"])))
    path = "data.x" if source == "event" else draw(st.sampled_from(["id", "x"]))
    return make_value(source, path, draw(st.sampled_from(MISSINGS)))


EVENTS = st.fixed_dictionaries(
    {"id": IDS},
    optional={
        "data": JSON | st.fixed_dictionaries({"x": JSON}),
        "user": JSON | st.fixed_dictionaries({"id": JSON, "attributes": JSON}),
        "device": st.fixed_dictionaries({"attributes": st.fixed_dictionaries({"x": JSON})}),
        "notification": st.fixed_dictionaries(
            {"hooks": st.fixed_dictionaries({"h1": st.dictionaries(NAMES, JSON)})}
        ),
    },
)


@given(
    template=templates(),
    headers=st.dictionaries(st.sampled_from(["X-A", "X-B"]), values()),
    parameters=st.lists(st.tuples(st.sampled_from(["p", "q%C5%9F"]), values()), max_size=3),
    event=EVENTS,
    signed=st.booleans(),
)
def test_any_definition_and_event_make_one_request(
    template: str,
    headers: dict[str, Value],
    parameters: list[tuple[str, Value]],
    event: dict[str, Any],
    signed: bool,
) -> None:
    """No value of a definition or event changes scheme, host or port, adds a header, or ends the
    request early.
    """
    hook = make_hook(
        uri=ORIGIN + template,
        variables=[make_brace("b", default="x"), make_brace("c", default="y")],
        headers=headers,
        parameters=parameters,
        signing_keys=(b"k" * 24,) if signed else (),
    )
    own_id = delivery_id(event["id"], "h1")
    builder = RequestBuilder(hook, timeout=10.0, connect_timeout=3.0)
    with contextlib.suppress(RejectedError):
        request = builder.build(make_event(event), own_id, 1.0)
        assert request.url.startswith(f"{ORIGIN}/")
        parsed = Parsed(on_the_wire(request, ORIGIN))
        assert parsed.messages == 1
        assert parsed.target.decode() == request.url.removeprefix(ORIGIN)
        names = [name.decode() for name, _ in parsed.headers]
        ours = ["host", "user-agent", "webhook-id", "webhook-timestamp"]
        ours += ["webhook-signature"] if signed else []
        assert names[: len(ours)] == ours
        assert set(names[len(ours) :]) <= headers.keys()
        assert len(set(names)) == len(names)
        assert dict(parsed.headers)[b"webhook-id"].decode() == own_id


@given(
    template=templates(),
    b=TEXT,
    c=st.lists(TEXT, max_size=3),
    pairs=st.lists(st.tuples(st.sampled_from(["p", "q"]), TEXT), max_size=3),
)
def test_the_target_equals_a_reference_library(
    template: str, b: str, c: list[str], pairs: list[tuple[str, str]]
) -> None:
    """The target equals RFC 6570 as `uritemplate` expands it, followed by the encoded pairs."""
    event: dict[str, Any] = {"id": "e1", **{f"v{i}": text for i, (_, text) in enumerate(pairs)}}
    event["notification"] = {"hooks": {"h1": {"b": b, "c": c}}}
    hook = make_hook(
        uri=ORIGIN + template,
        parameters=[(key, make_value("event", f"v{i}")) for i, (key, _) in enumerate(pairs)],
    )
    expected = URITemplate(template).expand(b=b, c=",".join(c))
    assume(not {".", ".."} & set(expected.partition("?")[0].split("/")))
    query = "&".join(f"{key}={percent_encoded(text)}" for key, text in pairs)
    if pairs:
        joint = "&" if "?" in template else "?"
        expected += query if expected.endswith(("?", "&")) else joint + query
    builder = RequestBuilder(hook, timeout=10.0, connect_timeout=3.0)
    assert builder.target(make_event(event)) == expected


def percent_encoded(text: str) -> str:
    """RFC 3986 section 2.1, octet by octet."""
    kept = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    return "".join(chr(octet) if octet in kept else f"%{octet:02X}" for octet in text.encode())


@given(
    pairs=st.lists(
        st.tuples(
            IDS | st.text("a.:%h", min_size=1), st.from_regex("[a-z0-9-]{1,64}", fullmatch=True)
        ),
        unique=True,
    )
)
def test_delivery_ids_differ_and_are_header_safe(pairs: list[tuple[str, str]]) -> None:
    """No two pairs of event and hook share a delivery id, and every id is header-safe, without dot
    or blank.
    """
    long = [("x" * 300, "h")]
    digest = delivery_id(*long[0]).removesuffix(":h")
    names = [*pairs, *long, (digest, "h"), (digest.removeprefix("sha256:"), "h")]
    ids = sorted(delivery_id(*pair) for pair in dict.fromkeys(names))
    assert all(one != other for one, other in pairwise(ids))
    for name in ids:
        assert name.isascii()
        assert name.isprintable()
        assert not {".", " "} & set(name)
        assert len(name) <= 200 + 1 + 64
