"""Property tests of the headers of deferred records: every fact survives, and foreign headers
change nothing.
"""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery.http.request import delivery_id
from consumer.records.delivery_metadata import (
    DeliveryMetadata,
    Replay,
    read_delivery_metadata,
)
from consumer.records.original_record import OriginalRecord
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord

INT64 = st.integers(-1, 2**63 - 1)
MOMENTS = st.none() | st.integers(0, 2**41).map(lambda milliseconds: milliseconds / 1000)
IDS = st.builds(delivery_id, st.text(), st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True))
REPLAYS = st.none() | st.builds(
    Replay,
    replayed_from=st.text(),
    at=st.integers(0, 2**41).map(lambda milliseconds: milliseconds / 1000),
)
PASSPORTS = st.builds(
    DeliveryMetadata,
    reason=st.text(min_size=1),
    topic=st.text(st.characters(categories=["L", "N"], include_characters="._-")),
    partition=st.integers(0, 2**31 - 1),
    offset=INT64,
    timestamp=INT64,
    trigger=st.text(),
    delivery_id=st.just("") | IDS,
    hook=st.text(),
    attempts=st.integers(0, 2**31),
    last_status=st.text(),
    first_failed_at=MOMENTS,
    not_before=MOMENTS,
    unknown_since=MOMENTS,
    mapped=st.booleans(),
    detail=st.text(),
    replay=REPLAYS,
)
NAMES = st.sampled_from(
    [name for name, _ in DeliveryMetadata("r", "t", 0, 0, 0, "event").headers()]
)
FOREIGN = st.lists(
    st.tuples(
        NAMES
        | st.sampled_from(["hookstream-not-before", "hookstream-delivery-id", "source", "trace"]),
        st.none()
        | st.binary()
        | st.sampled_from([b"nan", b"inf", b"1e999", b"9" * 30, b"a/b/c", b"t/0/1", b"1\r\nx: y"]),
    )
)


@given(metadata=PASSPORTS)
def test_headers_keep_every_fact(metadata: DeliveryMetadata) -> None:
    """Headers keep text in any script, 64-bit numbers, and times to the millisecond."""
    headers = metadata.headers()
    assert len([value.decode() for _, value in headers if value is not None]) == len(headers)
    assert read_delivery_metadata(headers) == metadata


@given(metadata=PASSPORTS, noise=st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_other_peoples_headers_change_nothing(
    metadata: DeliveryMetadata, noise: list[tuple[str, bytes | None]]
) -> None:
    """Headers that other programs add, binary or without a value, change nothing in the delivery's
    metadata.
    """
    foreign = [(name, value) for name, value in noise if not name.startswith("hookstream-")]
    foreign += [("source", b"x/9/9"), ("attempts", b"\xff"), ("trace", None)]
    assert read_delivery_metadata([*foreign, *metadata.headers()]) == metadata
    assert read_delivery_metadata([*metadata.headers(), *foreign]) == metadata


@given(metadata=PASSPORTS, foreign=FOREIGN)
def test_any_headers_are_delivery_metadata_or_undecodable(
    metadata: DeliveryMetadata, foreign: list[tuple[str, bytes | None]]
) -> None:
    """Any headers of a record on a retry topic are read as valid delivery metadata or are refused
    as undecodable.
    """
    for headers in (foreign, [*metadata.headers(), *foreign]):
        with contextlib.suppress(UndecodableError):
            read = read_delivery_metadata(headers)
            assert read_delivery_metadata(read.headers()) is not None
            assert read.delivery_id.isascii()
            assert read.delivery_id.isprintable()
            assert read.timestamp / 1000 < 2**63
            assert read.not_before is None or abs(read.not_before) < float("inf")


@given(metadata=PASSPORTS, key=st.none() | st.binary(), value=st.none() | st.binary())
def test_the_first_record_stands_again(
    metadata: DeliveryMetadata, key: bytes | None, value: bytes | None
) -> None:
    """The original record can be rebuilt from a deferred one: key and value unchanged, position and
    time those of the original.
    """
    deferred = FakeRecord(value, "hookstream.retry.10s", 5, 6, 7, key, metadata.headers())
    first = OriginalRecord(read_delivery_metadata(deferred.headers), deferred)
    assert (first.key, first.value) == (key, value)
    place = (first.topic, first.partition, first.offset, first.timestamp)
    assert place == (metadata.topic, metadata.partition, metadata.offset, metadata.timestamp)
