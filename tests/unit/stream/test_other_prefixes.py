"""Which topics are retry topics below another prefix."""

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
        ("crm.dead-letter", ""),
        ("crm.retry.later", ""),
        ("retry.10s", ""),
        ("event", ""),
    ],
)
def test_other_prefixes_are_told_from_their_topics(topic: str, prefix: str) -> None:
    """The name of a retry topic ends with `.retry.` and a delay; our own are no others."""
    assert other_prefix(topic, OwnTopics("hookstream")) == prefix
