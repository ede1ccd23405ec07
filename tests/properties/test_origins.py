"""The values that a request is explained with are those that it is made of."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.delivery.http.origins import Origin, RequestValue, rejection, request_values
from consumer.delivery.http.request import RequestBuilder, delivery_id, header_value
from consumer.delivery.http.values import RejectedError, encode
from consumer.hooks.table import Hook, Missing, UriVariable, Value
from consumer.hooks.value_sources import Source
from support.fakes import make_brace, make_event, make_hook, make_value

ORIGIN = "https://receiver.example"
TEXT = st.text(max_size=8) | st.sampled_from(
    ["a b", "ş", "..", "x\ny", "İ/&=", "y\x00", "x" * 5_000]
)
JSON = st.one_of(
    st.none(), TEXT, TEXT, TEXT, st.booleans(), st.integers(0, 2**53), st.lists(TEXT, max_size=2)
)
SOURCES: tuple[Source, ...] = ("profile", "device", "event", "fixed")
MISSINGS: tuple[Missing, ...] = ("omit", "empty", "reject")


@st.composite
def entries(draw: st.DrawFn) -> Value:
    """Any value of a header or parameter."""
    source = draw(st.sampled_from(SOURCES))
    if source == "fixed":
        return make_value(source, draw(st.sampled_from(["", "k", "a b"])))
    path = "data.x" if source == "event" else draw(st.sampled_from(["id", "x"]))
    return make_value(source, path, draw(st.sampled_from(MISSINGS)))


@st.composite
def braces(draw: st.DrawFn, name: str) -> UriVariable:
    """Any brace of a URI."""
    return make_brace(
        name,
        entry=draw(st.one_of(st.none(), entries(), entries())),
        default=draw(st.sampled_from([None, "", "none"])),
        missing=draw(st.sampled_from(MISSINGS)),
    )


EVENTS = st.fixed_dictionaries(
    {"id": st.just("e1")},
    optional={
        "data": st.fixed_dictionaries({}, optional={"x": JSON}),
        "user": st.fixed_dictionaries(
            {}, optional={"id": JSON, "attributes": st.fixed_dictionaries({}, optional={"x": JSON})}
        ),
        "device": st.fixed_dictionaries({"attributes": st.fixed_dictionaries({"x": JSON})}),
        "notification": st.fixed_dictionaries(
            {"hooks": st.fixed_dictionaries({"h1": st.fixed_dictionaries({"b": JSON, "c": JSON})})}
        ),
    },
)
HOOKS = st.builds(
    lambda tail, first, second, headers, parameters: make_hook(
        uri=ORIGIN + tail, variables=[first, second], headers=headers, parameters=parameters
    ),
    st.sampled_from(["/{b}/x", "/{b}{c}?z={c}", "/x", "/x?q={b}&", "/{c}.{b}"]),
    braces("b"),
    braces("c"),
    st.dictionaries(st.sampled_from(["X-A", "X-B"]), entries(), min_size=1),
    st.lists(st.tuples(st.sampled_from(["p", "q%C5%9F"]), entries()), max_size=3),
)


def _texts(hook: Hook, found: Iterable[RequestValue]) -> dict[tuple[str, int], str | None]:
    """The text of each value by part and number, hidden ones from the hook itself."""
    fixed: dict[str, list[Value | None]] = {
        "parameter": [one.value for one in hook.parameters],
        "header": [one.value for one in hook.headers],
        "uri": [one.entry for one in hook.uri_variables],
    }
    texts: dict[tuple[str, int], str | None] = {}
    counts = {"uri": 0, "parameter": 0, "header": 0}
    for one in found:
        number = counts[one.part]
        counts[one.part] += 1
        text = one.text
        if one.is_hidden:
            assert text is None
            value = fixed[one.part][number]
            assert value is not None
            text = value.text
        elif one.origin is Origin.NOWHERE:
            assert one.follows is not None
            text = "" if one.follows == "empty" else None
        texts[one.part, number] = text
    return texts


def _target(hook: Hook, texts: dict[tuple[str, int], str | None]) -> str:
    target, number = "", 0
    for piece in hook.template_parts:
        if isinstance(piece, str):
            target += piece
        else:
            text = texts["uri", number]
            assert text is not None
            target += encode(text)
            number += 1
    pairs = [
        f"{parameter.name}={encode(text)}"
        for index, parameter in enumerate(hook.parameters)
        if (text := texts["parameter", index]) is not None
    ]
    if not pairs:
        return target
    joint = "&" if hook.has_query else "?"
    return target + ("" if hook.has_query and target[-1] in "?&" else joint) + "&".join(pairs)


def _headers(hook: Hook, texts: dict[tuple[str, int], str | None]) -> list[bytes]:
    return [
        f"{header.name}: ".encode()
        + header_value(header.name, text, is_encoded=header.encode is not None)
        for index, header in enumerate(hook.headers)
        if (text := texts["header", index]) is not None
    ]


@settings(max_examples=500)
@given(hook=HOOKS, content=EVENTS)
def test_the_explained_values_make_up_the_request(hook: Hook, content: dict[str, Any]) -> None:
    """The values of a request, with their origins and with what follows from each that is missing,
    make up exactly the request that the daemon sends; one of them rejects it if and only if the
    daemon does, but for what is wrong with the whole URI.
    """
    event = make_event(content)
    found = request_values(hook, event)
    builder = RequestBuilder(hook, timeout=1.0, connect_timeout=1.0)
    if error := rejection(hook, event):
        note("rejected")
        with pytest.raises(RejectedError, match=re.escape(error)):
            builder.build(event, delivery_id(event.id, hook.id), 1.0)
        whole = "dot segment" in error or "URI is longer" in error
        assert whole or any(one.rejects for one in found)
        return
    assert not any(one.rejects for one in found)
    texts, request = _texts(hook, found), builder.build(event, delivery_id(event.id, hook.id), 1.0)
    assert request.url == ORIGIN + _target(hook, texts)
    assert list(request.headers[3:]) == _headers(hook, texts)
