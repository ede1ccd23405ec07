"""From JSON values to text (docs/reference/hooks.md)."""

from typing import Any
from unittest.mock import Mock

import pytest

from consumer.delivery.http import values
from consumer.delivery.http.values import (
    MAX_CHARACTERS,
    RejectedError,
    encode,
    make_value_reader,
    to_text,
    value_text,
)
from consumer.hooks.value_sources import Source
from support.fakes import make_event, make_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Bursa", "Bursa"),
        ("", ""),
        (None, None),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (2**64 - 1, "18446744073709551615"),
        (19.9, "19.9"),
        (1e22, "1e+22"),
        (-0.0, "-0.0"),
        (["gold", "vip"], "gold,vip"),
        (["gold", None, 7, True], "gold,7,true"),
        ([["a", "b"], "c"], "a,b,c"),
        ([{"a": 1}, "b"], '{"a":1},b'),
        ([], ""),
        ([None], ""),
        ({"b": [1, None], "a": "ş"}, '{"b":[1,null],"a":"ş"}'),
        ({}, "{}"),
    ],
)
def test_json_becomes_text(value: Any, text: str | None) -> None:
    """Arrays join with a comma, objects are compact JSON, null is missing."""
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("abcXYZ019", "abcXYZ019"),
        ("-._~", "-._~"),
        ("spring 26", "spring%2026"),
        ("a/b?c&d=e#f+g%h", "a%2Fb%3Fc%26d%3De%23f%2Bg%25h"),
        ("İ", "%C4%B0"),
        ("²", "%C2%B2"),
        ("\r\n\0", "%0D%0A%00"),
    ],
)
def test_all_but_the_unreserved_is_encoded(text: str, encoded: str) -> None:
    """All characters that RFC 3986 does not call unreserved are percent-encoded UTF-8 (RFC 6570
    section 3.2.2).
    """
    assert encode(text) == encoded


DOCUMENT = {
    "id": "e1",
    "user": {
        "id": "u42",
        "attributes": {"city": "İstanbul", "id": "shadow", "a.b": "dotted", "a": {"b": "walked"}},
    },
    "device": {"id": 7, "attributes": {"mdl": "iPhone17,2", "os": {"name": "IOS"}}},
    "data": {"items": [{"sku": "s1"}, {"sku": "s2"}], "price": 19.9},
}


@pytest.mark.parametrize(
    ("source", "path", "text"),
    [
        ("profile", "city", "İstanbul"),
        ("profile", "id", "u42"),
        ("profile", "a.b", "dotted"),
        ("profile", "nothing", None),
        ("device", "id", "7"),
        ("device", "mdl", "iPhone17,2"),
        ("device", "os.name", "IOS"),
        ("event", "data.price", "19.9"),
        ("event", "data.items.1.sku", "s2"),
        ("event", "data.items.2.sku", None),
        ("event", "data.items.-1.sku", None),
        ("event", "data.items.sku", None),
        ("event", "user.attributes.city", "İstanbul"),
        ("event", "data.price.more", None),
        ("fixed", "city", "city"),
    ],
)
def test_each_source_reads_its_part(source: Source, path: str, text: str | None) -> None:
    """Each value source reads its own part of the event: the user's attributes, the device's, or a
    path from the root.
    """
    assert value_text(make_value_reader(make_value(source, path)), make_event(DOCUMENT)) == text


@pytest.mark.parametrize("part", [None, "text", 5, [], {"attributes": "none"}, {}])
def test_an_odd_user_has_no_attributes(part: object) -> None:
    """A user or device of another type counts as absent."""
    event = make_event({"id": "e1", "user": part, "device": part})
    assert value_text(make_value_reader(make_value("profile", "city")), event) is None
    assert value_text(make_value_reader(make_value("device", "id")), event) is None


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_nesting_without_end_is_rejected(bracket: str) -> None:
    """A value that is nested as deep as JSON may be is rejected without a crash."""
    deep: Any = "x"
    for _ in range(990):
        deep = [deep] if bracket == "[]" else {"a": deep}
    event = make_event()
    event.document["data"] = deep
    with pytest.raises(RejectedError, match="data is nested too deeply"):
        value_text(make_value_reader(make_value("event", "data")), event)


@pytest.mark.parametrize(
    "value",
    [
        "x" * (MAX_CHARACTERS + 1),
        [1] * 1_000_000,
        [[]] * 1_000_000,
        [["x" * 100] * 100] * 10_000,
        dict.fromkeys(map(str, range(1_000_000))),
        {"x" * (MAX_CHARACTERS + 1): 1},
        {str(number): [{"deep": [number] * 9}] for number in range(8_000)},
    ],
    ids=["text", "list", "lists", "nested", "attributes", "key", "objects"],
)
def test_what_cannot_fit_is_refused_before_it_is_rendered(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of ten megabytes costs little more than one that fits, since it is refused before it
    is joined or encoded.
    """
    event = make_event()
    event.document["data"] = value
    monkeypatch.setattr(values, "to_text", Mock(side_effect=AssertionError("rendered")))
    with pytest.raises(RejectedError, match="data is longer than 8192 characters"):
        value_text(make_value_reader(make_value("event", "data")), event)


@pytest.mark.parametrize("part", [None, "", [], {}, 1, True], ids=repr)
def test_parts_without_text_have_a_size_too(part: Any) -> None:
    """Parts that join to nothing count with the size of their JSON."""
    event = make_event()
    event.document["data"] = [part] * 1_500
    assert value_text(make_value_reader(make_value("event", "data")), event) is not None
    event.document["data"] = [part] * MAX_CHARACTERS
    with pytest.raises(RejectedError, match="data is longer than 8192 characters"):
        value_text(make_value_reader(make_value("event", "data")), event)
