"""Whatever a record holds, decoding gives an event or the one error for it."""

import contextlib

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import FIELD_PATHS, Decoder
from consumer.events.model import Event
from consumer.events.triggers import TRIGGERS, Trigger
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord, make_record

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
NAMES = st.sampled_from(
    ["id", "occurred_at", "app", "user", "device", "notification", "data", "event_key", "hooks"]
)
DOCUMENTS = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON))
FIELDS = st.dictionaries(
    st.sampled_from([*FIELD_PATHS, "subject"]), st.sampled_from(["id", "data.id", "user.0.id"])
)
TRIGGER = st.sampled_from(list(TRIGGERS))
# Near-JSON: duplicate keys, numbers out of range, lone surrogates, unclosed nesting.
PIECES = st.sampled_from(
    ["{", "}", "[", "]", '"id":', '"id":1e999', "NaN", '"\\ud800"', ",", "9" * 400, "-", "[" * 2000]
)


def check(event: Event, record: FakeRecord) -> None:
    """What delivery relies on in every event."""
    assert event.id
    assert event.id.encode()
    assert isinstance(event.occurred_at, float)
    assert event.document["occurred_at"] is not None
    assert event.app is None or isinstance(event.app, str)
    assert event.subject is None or isinstance(event.subject, str)
    assert event.notification is None or isinstance(event.notification, dict)
    assert record.value is not None


@given(value=st.none() | st.binary() | st.lists(PIECES).map(lambda p: "".join(p).encode()))
def test_any_bytes_decode_or_are_undecodable(value: bytes | None) -> None:
    """Any bytes decode to an event or raise `UndecodableError`, and no other exception."""
    record = FakeRecord(value)
    with contextlib.suppress(UndecodableError):
        check(Decoder("event")(record), record)


@given(document=JSON | DOCUMENTS, trigger=TRIGGER, fields=FIELDS)
def test_any_json_decodes_or_is_undecodable(
    document: object, trigger: Trigger, fields: dict[str, str]
) -> None:
    """JSON of any shape, mapped or not, decodes to an event or raises `UndecodableError`."""
    record = make_record(document)
    with contextlib.suppress(UndecodableError):
        check(Decoder(trigger, fields)(record), record)


@given(rest=DOCUMENTS, id=st.text(min_size=1))
def test_an_object_with_an_id_is_always_an_event(rest: dict[str, object], id: str) -> None:
    """An object with a valid id is an event, whatever its other parts are."""
    event = Decoder("event")(make_record({**rest, "id": id}))
    assert event.id == id
    kept = {name: value for name, value in rest.items() if name not in {"id", "occurred_at"}}
    reread = orjson.loads(orjson.dumps(kept))
    assert {name: event.document[name] for name in kept} == reread
