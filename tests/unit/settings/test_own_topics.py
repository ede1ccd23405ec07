"""The names of the topics that hookstream writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.settings import OwnTopics, load_settings

OWN = OwnTopics("hookstream")


def test_they_begin_with_the_prefix_of_the_settings() -> None:
    """The own topics begin with the prefix that `HOOKSTREAM_KAFKA__TOPIC_PREFIX` or the settings
    file names.
    """
    settings = load_settings(None, {"HOOKSTREAM_KAFKA__TOPIC_PREFIX": "crm_2.eu"})
    own = settings.kafka.own_topics
    assert own.dead_letter == "crm_2.eu.dead-letter"
    assert own.retry(60.0) == "crm_2.eu.retry.1m"
    assert load_settings(None, {}).kafka.own_topics == OWN


@given(st.integers(1, 24 * 3_600_000))
def test_a_retry_topic_tells_its_delay(milliseconds: int) -> None:
    """The delay of a retry topic is read back from its name."""
    delay = milliseconds / 1_000
    assert OWN.retry_delay(OWN.retry(delay)) == delay


@pytest.mark.parametrize(
    "topic",
    [
        "hookstream.dead-letter",
        "hookstream.retry.",
        "hookstream.retry.soon",
        "hookstream.retry.10s.old",
        "hookstream.retry.retry.10s",  # of an installation with the prefix hookstream.retry
        "hookstream.eu.retry.10s",
        "Hookstream.retry.10s",
        "hookstream_retry_10s",
        "xhookstream.retry.10s",
    ],
)
def test_no_other_topic_is_taken_for_a_retry_topic(topic: str) -> None:
    """Topics of other prefixes and names without a delay are no retry topics."""
    assert OWN.retry_delay(topic) is None
