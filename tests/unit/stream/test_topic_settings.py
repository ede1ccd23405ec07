"""The settings of a topic that lose records, and the advice about them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.topic_settings import (
    CLEANUP_POLICY,
    RETENTION_BYTES,
    RETENTION_MS,
    Compaction,
    History,
    Retention,
    partition_problem,
    source_warnings,
    topic_problem,
)

RIGHT = {CLEANUP_POLICY: "delete", RETENTION_MS: "-1", RETENTION_BYTES: "-1"}
HOUR_MS = 3_600_000


@given(st.none() | st.floats(1, 10**8))
def test_a_topic_that_is_made_here_is_right(longer_than: float | None) -> None:
    """A topic that the daemon creates has settings that the next start accepts."""
    keeping = Retention(longer_than)
    assert keeping.wrong(keeping.settings()) == {}
    assert keeping.wrong(RIGHT) == {}


@pytest.mark.parametrize(
    ("longer_than", "setting", "value"),
    [
        (60.0, CLEANUP_POLICY, "compact"),
        (60.0, CLEANUP_POLICY, "compact,delete"),
        (60.0, RETENTION_MS, "60000"),
        (60.0, RETENTION_MS, "0"),
        (60.0, RETENTION_BYTES, "1000000"),
        (None, CLEANUP_POLICY, "compact"),
        (None, RETENTION_MS, str(24 * HOUR_MS)),
        (None, RETENTION_BYTES, "0"),
    ],
)
def test_a_setting_that_loses_records_is_named_with_the_command_that_sets_it_right(
    longer_than: float | None, setting: str, value: str
) -> None:
    """A setting that loses records is named with topic and value, and the command changes nothing
    else.
    """
    keeping = Retention(longer_than)
    problem = topic_problem("ours", RIGHT | {setting: value}, keeping, ["a:1", "b:2"])
    assert problem is not None
    sentence = str(problem)
    assert f"the topic ours has {setting}={value} (" in sentence
    right = keeping.settings()[setting]
    assert sentence.endswith(
        "kafka-configs.sh --bootstrap-server a:1,b:2 --alter --entity-type topics "
        f"--entity-name ours --add-config {setting}={right}"
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    """All wrong settings of a topic are reported together with one command."""
    values = {CLEANUP_POLICY: "compact", RETENTION_MS: "3000", RETENTION_BYTES: "5"}
    problem = topic_problem("ours", values, Retention(None), ["a:1"])
    assert problem is not None
    assert problem.wrong == values
    assert "records are deleted after 3s" in str(problem)
    assert str(problem).endswith(
        "--add-config cleanup.policy=delete,retention.ms=-1,retention.bytes=-1"
    )


def test_the_least_retention_is_longer_than_what_may_wait() -> None:
    """The smallest accepted retention is longer than a record may wait."""
    assert Retention(60.0).wrong(RIGHT | {RETENTION_MS: "60000"}) != {}
    assert Retention(60.0).wrong(RIGHT | {RETENTION_MS: "60001"}) == {}


@given(
    st.dictionaries(
        st.sampled_from([CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES]), st.text(max_size=8)
    )
)
def test_whatever_a_broker_tells(values: dict[str, str]) -> None:
    """A topic setting that is absent or no number neither refuses a topic nor raises."""
    Retention(60.0).wrong(values)
    list(source_warnings(values))
    assert Retention(None).wrong({}) == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({CLEANUP_POLICY: "compact", RETENTION_MS: "-1"}, "compacted"),
        ({CLEANUP_POLICY: "compact,delete", RETENTION_MS: str(HOUR_MS)}, "compacted"),
        ({CLEANUP_POLICY: "delete", RETENTION_MS: "600000"}, "wait for 10m"),
        ({CLEANUP_POLICY: "delete", RETENTION_MS: str(HOUR_MS)}, None),
        (RIGHT, None),
    ],
)
def test_a_source_that_may_lose_events(values: dict[str, str], said: str | None) -> None:
    """A source that is compacted or keeps less than an hour is reported."""
    warnings = list(source_warnings(values))
    assert len(warnings) == (said is not None)
    assert all(said is not None and said in warning for warning in warnings)


@pytest.mark.parametrize("policy", ["delete", "compact,delete", "delete,compact"])
def test_a_topic_that_must_be_compacted_and_is_not(policy: str) -> None:
    """A topic of definitions whose records would be deleted by age is refused with the command that
    makes it a compacted one.
    """
    required = Compaction()
    assert required.wrong(required.settings()) == {}
    problem = topic_problem("ours", RIGHT | {CLEANUP_POLICY: policy}, required, ["a:1"])
    assert f"the topic ours has {CLEANUP_POLICY}={policy} (" in str(problem)
    assert str(problem).endswith("--entity-name ours --add-config cleanup.policy=compact")


def test_a_topic_whose_records_must_have_one_order() -> None:
    """A topic of definitions with several partitions is refused; others may have any number."""
    problem = partition_problem("ours", 3, Compaction())
    assert problem is not None
    assert "the topic ours has 3 partitions, and must have 1" in problem
    assert partition_problem("ours", 1, Compaction()) is None
    assert partition_problem("ours", 3, Retention(60.0)) is None


@pytest.mark.parametrize("last_of_each_key", [False, True])
def test_a_topic_for_people_is_made_right(last_of_each_key: bool) -> None:
    """A topic of the delivery log or of the reports that the daemon creates is accepted by the next
    start, keeps its records for the wanted time, and is one that the daemon runs on without.
    """
    history = History(HOUR_MS / 1_000, last_of_each_key=last_of_each_key)
    assert history.settings()[RETENTION_MS] == str(HOUR_MS)
    assert history.wrong(history.settings()) == {}
    assert history.wrong(history.settings() | {RETENTION_MS: "1"}) == {}
    assert history.optional


@pytest.mark.parametrize(
    ("last_of_each_key", "policy", "loss"),
    [
        (False, "compact", "only the last record of each hook is kept"),
        (False, "compact,delete", "only the last record of each hook is kept"),
        (True, "delete", "all counts of an hour are kept, not only the last ones"),
    ],
)
def test_a_topic_for_people_with_another_policy_is_wrong(
    last_of_each_key: bool, policy: str, loss: str
) -> None:
    """The delivery log must not be compacted, and the reports must be."""
    history = History(60.0, last_of_each_key=last_of_each_key)
    assert history.wrong({CLEANUP_POLICY: policy}) == {CLEANUP_POLICY: loss}
