"""Numbers of any length: what an event says is what a request says, and no more is an event."""

import json
from decimal import Decimal
from typing import Any, NoReturn

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery.http.request import RequestBuilder
from consumer.events.decode import Decoder
from consumer.events.numbers import LongNumber, exact_number, loads_exactly, may_be_rounded
from support.fakes import FakeRecord, make_brace, make_hook, make_value

SIGNS = st.sampled_from(["", "-"])
DIGITS = st.text("0123456789", max_size=40)


@st.composite
def integers(draw: st.DrawFn) -> str:
    """The spelling of an integer of any length: `int` itself stops at 4,300 digits."""
    first = draw(st.sampled_from("123456789"))
    rest = draw(DIGITS | st.integers(0, 40).map("0".__mul__))
    return draw(SIGNS) + first + rest * draw(st.sampled_from([1, 1, 1, 1, 150]))


@st.composite
def decimals(draw: st.DrawFn) -> str:
    """The spelling of another number, of a few digits or of more than a double holds."""
    whole = draw(st.sampled_from(["7", "12345678901234567890", "1" + "0" * 250]))
    fraction = draw(st.sampled_from(["", ".5", ".25000", ".1234567890123456789"]))
    exponent = draw(st.sampled_from(["e3", "E+02", "e-7", "e99", "e300", "e400", "E9" + "9" * 20]))
    return draw(
        SIGNS.map(lambda sign: sign + whole + fraction + (exponent if not fraction else ""))
        | st.sampled_from(["0.5", "-0.0", "0.01234567890123456", "0." + "0" * 400 + "1", "1e-05"])
        | st.just(whole + fraction + exponent)
    )


STRINGS = st.text('a"\\/\n5e-.é\u2028 ', max_size=40) | integers()
JSON_STRINGS = st.builds(json.dumps, STRINGS, ensure_ascii=st.booleans())
ATOMS = integers() | decimals() | JSON_STRINGS | st.sampled_from(["true", "false", "null"])


def _list(items: list[str]) -> str:
    return "[" + ", ".join(items) + "]"


def _object(items: dict[str, str]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in items.items()) + "}"


JSON = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4).map(_list)
        | st.dictionaries(JSON_STRINGS, inner, max_size=4).map(_object)
    ),
    max_leaves=12,
)
"""JSON texts."""
PIECES = st.sampled_from(
    ["12345678901234567890123", "-", "1e999", ".5", "{", "}", "[", "]", '"', "\\", ",", ":", " ",
     "\\u12345678901234567890", "0000000000000000000001", "NaN", "Infinity", "true", '"a"',
     "\\ud800"]
)  # fmt: skip
"""Of which some texts are JSON, and most are nearly."""


def _number(text: str) -> tuple[str, Decimal | str]:
    try:
        return "number", Decimal(text)
    except ArithmeticError:  # an exponent that not even a Decimal has
        return "number", text


def _comparable(value: Any) -> Any:
    """`value` with each number as its exact worth; a dict's last member of a name counts."""
    match value:
        case LongNumber():
            return _number(value.text)
        case bool() | str() | None:
            return value
        case int():
            return "number", Decimal(value)
        case float():
            return "number", Decimal(repr(value))
        case list():
            return list(map(_comparable, value))
    return {key: _comparable(item) for key, item in value.items()}


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


@given(JSON)
def test_every_number_keeps_its_value(text: str) -> None:
    """Every number of a document has the value that an exact parser finds, wherever it stands."""
    found = _comparable(loads_exactly(text.encode()))
    assert found == json.loads(text, parse_int=_number, parse_float=_number)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_nothing_is_accepted_that_is_not_json(text: str) -> None:
    """The decoder takes what orjson takes, and beyond that only what another parser takes as
    JSON.
    """
    try:
        known: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        known = None
    try:
        loads_exactly(text.encode())
    except orjson.JSONDecodeError:
        assert known is None
    else:
        json.dumps(json.loads(text, parse_constant=_refuse), ensure_ascii=False).encode()


@given(st.binary(max_size=60), integers() | decimals(), st.binary(max_size=60))
def test_no_long_number_is_overlooked(before: bytes, number: str, behind: bytes) -> None:
    """A long number is found wherever in the record it stands, behind any character that is no part
    of it.
    """
    digits = number.lstrip("-")
    is_integer = digits.isdecimal()
    is_large = is_integer and int(digits[:50]) >= 2**64
    if is_large or len(digits.partition("e")[0]) > 18 + is_integer:
        assert may_be_rounded(before + b":" + number.encode() + behind)


@given(
    st.text(' ,:"\\', max_size=30),
    st.sampled_from('"aZ_/'),
    st.from_regex("[0-9.]{1,80}", fullmatch=True),
)
def test_digits_of_a_string_are_no_number(before: str, last: str, digits: str) -> None:
    """Digits behind a quotation mark or a word character, as in a ULID, cost no second look."""
    assert not may_be_rounded(f"{before}{last}{digits}".encode())


INTEGER_HOOK = make_hook(
    uri="https://receiver.example/{brace}",
    variables=[make_brace("brace", entry=make_value("event", "data.n"))],
    headers={
        "X-User": make_value("profile", "id"),
        "X-List": make_value("device", "list"),
        "X-Object": make_value("event", "data.object"),
    },
    parameters=[("n", make_value("event", "data.n")), ("id", make_value("event", "id"))],
)


@given(integers().filter(lambda text: len(text) < 1_000))
def test_an_integer_arrives_with_its_digits(integer: str) -> None:
    """An integer of any length arrives with its digits in a URI variable, parameter and header,
    alone, in an array and in an object, and as the user's and the event's id.
    """
    document = (
        f'{{"id": {integer}, "user": {{"id": {integer}}}, "data": {{"event_key": {integer}, '
        f'"n": {integer}, "object": {{"a": [{integer}]}}}}, '
        f'"device": {{"attributes": {{"list": [1, {integer}]}}}}}}'
    )
    event = Decoder("event")(FakeRecord(document.encode()))
    request = RequestBuilder(INTEGER_HOOK, timeout=1.0, connect_timeout=1.0).build(event, "x", 0.0)
    assert event.id == event.subject == integer
    assert request.target == f"/{integer}?n={integer}&id={integer}"
    assert request.headers[3:] == [
        f"X-User: {integer}".encode(),
        f"X-List: 1,{integer}".encode(),
        f'X-Object: {{"a":[{integer}]}}'.encode(),
    ]


ZEROS = st.sampled_from(["0", "0.0", "0.00", "-0.00", "0e0", "0." + "0" * 16, "0." + "0" * 17])


@given(integers() | decimals() | ZEROS)
def test_a_number_alone_is_what_it_is_in_an_event(text: str) -> None:
    """The text of a number alone, as in the API's bodies and decimals of Avro and Protobuf, gives
    what it would give in an event of JSON: a zero with few digits is a zero.
    """
    alone, in_event = exact_number(text), loads_exactly(text.encode())
    assert (type(alone), repr(_written(alone))) == (type(in_event), repr(_written(in_event)))


def _written(value: Any) -> Any:
    return value.text if isinstance(value, LongNumber) else value
