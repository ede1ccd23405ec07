"""Retry and overflow topics below other prefixes."""

import pytest

from consumer.settings import OwnTopics
from consumer.stream.other_prefixes import other_prefix


@pytest.mark.parametrize(
    ("topic", "prefix"),
    [
        ("crm.retry.10s", "crm"),
        ("crm.eu.retry.1m", "crm.eu"),
        ("hookstream.retry.10s", ""),
        ("hookstream.retry.retry.10s", "hookstream.retry"),
        ("crm.overflow", "crm"),
        ("hookstream.overflow", ""),
        ("overflow", ""),
        ("crm.dead-letter", ""),
        ("crm.retry.later", ""),
        ("retry.10s", ""),
        ("event", ""),
    ],
)
def test_other_prefixes_are_told_from_their_topics(topic: str, prefix: str) -> None:
    """A topic that ends with `.retry.` and a delay, or with `.overflow`, is one of another prefix,
    unless it is our own.
    """
    assert other_prefix(topic, OwnTopics("hookstream")) == prefix
