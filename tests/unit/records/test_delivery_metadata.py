"""The headers of docs/reference/records.md, by name."""

from dataclasses import replace

import pytest

from consumer.records.delivery_metadata import DeliveryMetadata, Replay, read_delivery_metadata
from consumer.records.headers import read_not_before
from consumer.records.record import Headers, UndecodableError

METADATA = DeliveryMetadata(
    reason="503",
    topic="push-click",
    partition=3,
    offset=17,
    timestamp=1_800_000_000_123,
    trigger="push_click",
    delivery_id="e1:h1",
    hook="h1",
    attempts=4,
    last_status="503",
    first_failed_at=1_800_000_001.5,
    not_before=1_800_000_060.0,
    unknown_since=1_800_000_055.25,
    mapped=True,
    detail="as text: ş",
)
TEXTS = {
    "hookstream-delivery-id": "e1:h1",
    "hookstream-hook": "h1",
    "hookstream-reason": "503",
    "hookstream-attempts": "4",
    "hookstream-last-status": "503",
    "hookstream-first-failed-at": "1800000001.500",
    "hookstream-not-before": "1800000060.000",
    "hookstream-source": "push-click/3/17",
    "hookstream-source-timestamp": "1800000000123",
    "hookstream-trigger": "push_click",
    "hookstream-mapped": "yes",
    "hookstream-group": "crm-İzmir",
    "hookstream-unknown-since": "1800000055.250",
    "hookstream-detail": "as text: ş",
}


def test_the_headers_have_the_documented_names() -> None:
    """The headers have the documented names, which other programs read."""
    headers = METADATA.headers("crm-İzmir")
    assert {name: value.decode() for name, value in headers if value is not None} == TEXTS


def test_a_fact_that_is_not_known_has_no_header() -> None:
    """An unknown fact has no header, as for a record that could not be decoded."""
    undecodable = DeliveryMetadata("undecodable", "event", 0, 0, 0, "")
    names = [name for name, _ in undecodable.headers()]
    assert names == [
        "hookstream-reason",
        "hookstream-attempts",
        "hookstream-source",
        "hookstream-source-timestamp",
    ]
    assert read_delivery_metadata(undecodable.headers()) == undecodable


@pytest.mark.parametrize("name", ["reason", "attempts", "source", "source-timestamp"])
def test_a_header_that_is_always_written_must_be_there(name: str) -> None:
    """A record that lacks a header that hookstream always writes is another program's."""
    headers = [(known, value) for known, value in METADATA.headers() if known[11:] != name]
    with pytest.raises(UndecodableError, match=f"the header hookstream-{name} is missing"):
        read_delivery_metadata(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", b"push-click"),
        ("source", b"push-click/x/17"),
        ("source", b"push-click/3/99999999999999999999"),
        ("source-timestamp", b"9" * 400),
        ("attempts", b"many"),
        ("not-before", b"nan"),
        ("first-failed-at", b"inf"),
        ("reason", b"\xff"),
        ("delivery-id", b"e1:h1\r\nx-evil: 1"),
        ("delivery-id", "ş:h1".encode()),
        ("delivery-id", b"e1.1800000000:h1"),
        ("delivery-id", b" e1:h1"),
        ("delivery-id", b"e" * 100_000 + b":h1"),
        ("hook", b"h" * 100_000),
        ("unknown-since", b"-inf"),
    ],
)
def test_what_could_do_harm_is_refused(name: str, value: bytes) -> None:
    """Headers that could do harm are refused, a delivery id as a header and numbers in arithmetic,
    and the reason quotes neither.
    """
    with pytest.raises(UndecodableError, match=r"^a hookstream header is malformed$"):
        read_delivery_metadata([*METADATA.headers(), (f"hookstream-{name}", value)])


@pytest.mark.parametrize(
    ("headers", "due"),
    [
        (METADATA.headers(), METADATA.not_before),
        (replace(METADATA, not_before=None).headers(), None),
        ([("hookstream-not-before", b"soon")], 0.0),
        ([("hookstream-not-before", b"\xff")], 0.0),
        ([("hookstream-not-before", b"inf")], 0.0),
        ([("another-programs", b"1")], 0.0),
        ([], 0.0),
    ],
)
def test_when_a_record_is_due(headers: Headers, due: float | None) -> None:
    """The due time is read from a record's headers, and other programs' headers give none."""
    assert read_not_before(headers) == due


def test_a_replay_that_cannot_be_read_counts_as_none() -> None:
    """Replay headers that cannot be read count as none."""
    replay = Replay("hookstream.dead-letter/0/5", 1_800_000_000.0)
    headers = replace(METADATA, replay=replay).headers()
    assert read_delivery_metadata(headers).replay == replay
    assert read_delivery_metadata([*headers, ("hookstream-replayed-at", b"nan")]).replay is None
