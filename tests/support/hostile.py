"""Records that were written to do harm."""

import json

UNDECODABLE: dict[str, bytes] = {
    "not JSON": b"hello",
    "bad UTF-8": b'{"id": "\xff\xfe"}',
    "overlong UTF-8": b'{"id": "\xc0\xae"}',
    "null bytes": b"\x00" * 1_000,
    "a null byte in a text": b'{"id": "a\x00"}',
    "NaN": b'{"id": "e", "data": {"price": NaN}}',
    "infinity": b'{"id": "e", "data": {"price": -Infinity}}',
    "lone surrogate": b'{"id": "\\ud800"}',
    "100,000 levels of arrays": b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 levels of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "more long numbers than may be": b'{"id": "e", "x": [' + b"1e999," * 150_000 + b"1]}",
    "two values": b'{"id": "e"}{"id": "f"}',
    "a million attributes": b"{"
    + b",".join(b'"k%d":%d' % (n, n) for n in range(1_000_000))
    + b',"id":"e"}',
    "ten megabytes": b'{"id": "' + b"x" * 10_000_000 + b'"}',
}
"""Values that no reader may take for an event."""


def _event(event_id: str, value: object) -> bytes:
    return json.dumps({"id": event_id, "data": {"event_key": "k", "x": value}}).encode()


UNFIT: dict[str, bytes] = {
    "a long text": _event("text", "ş" * 150_000),
    "a long array": _event("array", [1] * 300_000),
    "arrays of arrays": _event("arrays", [[[]] * 100] * 2_400),
    "many attributes": _event("attributes", {f"k{number}": number for number in range(55_000)}),
    "nested as deep as JSON may be": b'{"id": "deep", "data": {"event_key": "k", "x": '
    + b"[" * 900
    + b"]" * 900
    + b"}}",
    "a number of 900,000 digits": b'{"id": "digits", "data": {"event_key": "k", "x": '
    + b"9" * 900_000
    + b"}}",
    "as many long numbers as may be": b'{"id": "numbers", "data": {"event_key": "k", "x": ['
    + b",".join([b"123456789012345678901"] * 10_000)
    + b"]}}",
    "a line end for a header": _event("line", "a\r\nX-Evil: 1"),
    "a null byte": _event("null", "a\x00b"),
}
"""Events by the id, whose `data.x` no request can carry as a header."""
FIT: dict[str, bytes] = {
    "duplicate keys": b'{"id": "a", "id": "double", "data": {"event_key": "k", "x": "1"}}',
    "a huge integer": _event("integer", 2**64 - 1),
    "an integer of 400 digits": _event("digits of 400", int("9" * 400)),
    "a number beyond all doubles": b'{"id": "beyond", "data": {"event_key": "k", "x": 1e400}}',
    "a long id": _event("i" * 900_000, "1"),
    "a dot segment": _event("dots", "../../admin"),
    "a URI": _event("uri", "https://evil.example/"),
}
"""Events whose `data.x` is a value like any other."""
