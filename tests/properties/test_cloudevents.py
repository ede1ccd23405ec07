"""CloudEvents that the specification's own library has written."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import Decoder
from consumer.events.formats.cloudevents import cloud_event
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord

_TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(
    str.strip
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_DATA = st.none() | st.dictionaries(_TEXTS, _VALUES, max_size=4)
_TIMES = st.integers(1_000_000_000_000, 4_000_000_000_000).map(
    lambda ms: datetime.fromtimestamp(ms / 1000, UTC)
)
_EXTENSIONS = st.dictionaries(st.from_regex(r"x[a-z0-9]{0,8}", fullmatch=True), _TEXTS, max_size=2)


def _record(message: KafkaMessage) -> FakeRecord:
    return FakeRecord(message.value, headers=list(message.headers.items()))


@given(_TEXTS, _TEXTS, _TIMES, _EXTENSIONS, _DATA)
@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_an_event_of_the_specification_s_library(  # noqa: PLR0917
    write: Any,
    id: str,
    subject: str,
    time: datetime,
    extensions: dict[str, str],
    data: dict[str, Any] | None,
) -> None:
    """A CloudEvent that the library of the specification wrote, in either mode, is the JSON event
    of its data with its id and time, and each of its attributes is below `cloudevent`.
    """
    attributes = {"id": id, "source": "/shop", "type": "click", "subject": subject, **extensions}
    event = Decoder("event", None, cloud_event)(
        _record(write(CloudEvent({**attributes, "time": time}, data)))
    )
    own = {**(data or {}), "id": id, "occurred_at": time.isoformat()}
    as_json = Decoder("event")(FakeRecord(json.dumps(own).encode()))
    assert (event.id, event.occurred_at) == (as_json.id, as_json.occurred_at)
    assert (event.app, event.subject) == (as_json.app, as_json.subject)
    shown = event.document["cloudevent"]
    for name, value in attributes.items():
        assert shown[name] == value
    assert ("data" in shown) == (data is not None)


@given(st.binary(max_size=60), st.lists(st.tuples(
    st.sampled_from(["content-type", "ce_id", "ce_specversion", "ce_type", "ce_source", "x"]),
    st.none() | st.binary(max_size=30)
    | st.sampled_from([b"1.0", b"application/cloudevents+json", b"text/plain"]),
), max_size=8))  # fmt: skip
def test_any_bytes_are_an_event_or_undecodable(
    value: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    """Any value with any headers is an event or undecodable, and raises nothing else."""
    with suppress(UndecodableError):
        assert type(cloud_event(value, headers)) is dict
