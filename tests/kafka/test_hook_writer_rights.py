"""The rights that a writer of live definitions needs, on a broker that checks them."""

import pytest

from consumer.clock import SystemClock
from consumer.control.changes import NotWrittenError, WantedChange
from consumer.control.writer import HookWriter
from consumer.settings import KafkaSettings
from support.cluster import Cluster
from support.definition_topics import create_live_topics, definition
from support.secure_broker import SecureBroker

CHANGE = WantedChange("a", definition("a"), 0)


async def test_each_right_that_a_writer_needs(
    secure_broker: SecureBroker, topic_prefix: str
) -> None:
    """A writer is told which right it lacks, one after the other, and needs no more than the
    transactional id and reading and writing of two topics.
    """
    own = await create_live_topics(Cluster(secure_broker.bootstrap), topic_prefix)
    user = topic_prefix
    await secure_broker.add_user(user, "SCRAM-SHA-256")
    login = secure_broker.login("SASL", "SCRAM-SHA-256", user)
    settings = KafkaSettings(**login, topic_prefix=topic_prefix)

    async def refusal() -> str:
        writer = HookWriter(settings, SystemClock())
        try:
            with pytest.raises(NotWrittenError) as refused:
                await writer.write([CHANGE], by="ayse")
        finally:
            await writer.close()
        return str(refused.value)

    transactional_id = f"{topic_prefix}.hooks-writer"
    assert f"the transactional id {transactional_id}" in await refusal()
    await secure_broker.allow(user, {}, transactions={transactional_id: ["WRITE"]})
    assert f"refuses the topic {own.hooks}:" in await refusal()
    await secure_broker.allow(user, {own.hooks: ["READ"]})
    assert f"{own.hooks_audit}" in await refusal()
    await secure_broker.allow(user, {own.hooks_audit: ["READ", "WRITE"]})
    assert f"refuses to write to the topic {own.hooks}:" in await refusal()
    await secure_broker.allow(user, {own.hooks: ["WRITE"]})
    writer = HookWriter(settings, SystemClock())
    try:
        [record] = await writer.write([CHANGE], by="ayse")
    finally:
        await writer.close()
    assert record.revision == 1
