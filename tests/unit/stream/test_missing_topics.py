"""Topics that are deleted while they are read, and do not come back."""

import pytest

from support.member import RETRY, A, Member

MISSING = "a topic no longer exists"


@pytest.mark.parametrize(
    ("topic", "told"), [(A.topic, 1), (RETRY.topic, 0)], ids=["source", "retry topic"]
)
async def test_only_a_source_is_told_as_missing(
    topic: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a source topic is reported as missing, since the daemon makes a retry topic again by
    itself.
    """
    member = Member()
    await member.intake.start()
    await member.consumer.rebalance(A, RETRY)
    await member.intake.placement.check()
    member.consumer.deleted.add(topic)
    for _ in range(3):
        await member.intake.placement.check()
        member.clock.advance(5.0)
    lines = [record for record in caplog.records if record.getMessage() == MISSING]
    assert len(lines) == told
    [family] = [f for f in member.metrics.collect() if f.name == "hookstream_topic_missing"]
    missing = {sample.labels["topic"]: sample.value for sample in family.samples}
    assert missing == {A.topic: told}
