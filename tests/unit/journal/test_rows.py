"""The values of rows: what is kept between rows belongs to the right ones."""

from consumer.journal.records import DeliveryRecord, hash_user, read_delivery
from consumer.journal.rows import Row, RowEncoder

MANY = 12_000
"""More users and hooks than are kept."""


def _row(hook: str, topic: str, user: str) -> Row:
    row = Row(1_800_000_000.25, hook, f"e:{hook}")
    row.topic, row.user, row.outcome = topic, user, "delivered"
    return row


def _encoded(encoder: RowEncoder, row: Row) -> DeliveryRecord:
    record = read_delivery(encoder.encode(row))
    assert isinstance(record, DeliveryRecord)
    return record


def test_a_new_key_hashes_users_that_were_hashed_before() -> None:
    """After a reload with another key all users are hashed with it, also those of a moment ago."""
    encoder = RowEncoder("r", "g", b"a" * 32)
    assert _encoded(encoder, _row("h1", "t", "u1")).user == hash_user(b"a" * 32, "u1")
    encoder.use_key(b"b" * 32)
    assert _encoded(encoder, _row("h1", "t", "u1")).user == hash_user(b"b" * 32, "u1")


def test_a_hook_of_two_topics_has_the_source_of_each_row() -> None:
    """Rows of one hook that come from several topics in turn have the topic of their own event."""
    encoder = RowEncoder("r", "g", b"k" * 32)
    topics = ["t1", "t2", "t1"]
    assert [_encoded(encoder, _row("h1", topic, "u1")).source for topic in topics] == [
        f"{topic}/0/0" for topic in topics
    ]


def test_rows_of_more_hooks_and_users_than_are_kept() -> None:
    """Each row has its own hook and user, however many hooks and users there are."""
    encoder = RowEncoder("r", "g", b"k" * 32)
    for number in [*range(MANY), 0]:
        record = _encoded(encoder, _row(f"h{number}", "t", f"u{number}"))
        assert record.hook == f"h{number}"
        assert record.user == hash_user(b"k" * 32, f"u{number}")
