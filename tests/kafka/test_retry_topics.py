"""Retry topics on a real broker: a deferred record keeps its facts and is sent when due."""

from collections.abc import Callable

from support.cluster import Placed
from support.daemon import InProcess
from support.received import ids, parse
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

Answer = Callable[[bytes], Reply]


def _answer(status: int) -> Answer:
    return lambda _head: response(status)


async def _write(workspace: Workspace, event_id: str = "e1") -> Placed:
    values = [event(event_id, text="İ/&=")]
    [record] = await workspace.cluster.produce(workspace.topic("event"), values, key=b"k\xff")
    return record


async def _deferred(workspace: Workspace, retry_topic: int, number: int = 1) -> list[Placed]:
    """The records of a retry topic, once there are so many."""

    async def there() -> list[Placed]:
        found = await workspace.cluster.read(workspace.retry_topics[retry_topic])
        return found if len(found) >= number else []

    return await wait_until(there, f"{number} on retry topic {retry_topic}")


async def _only_letter(workspace: Workspace) -> Placed:
    [dead_letter] = await wait_until(workspace.dead_letters, "a dead letter")
    return dead_letter


async def test_deferred_records_come_out_of_each_retry_topic(workspace: Workspace) -> None:
    """A deferred record travels through the retry topics with its facts and is delivered under one
    webhook-id.

    1. The receiver answers 503 twice. 2. The record travels through the first and the second retry
    topic, key and value unchanged, with the documented headers. 3. The third attempt succeeds. The
    webhook-id was the same each time, and nothing is left behind.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(response(503), response(500)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config) as daemon:
            record = await _write(workspace)
            await receiver.until(requests=3)
            await wait_until(workspace.caught_up, "the record to be settled")
            numbers = await daemon.samples()
        assert ids(receiver.requests) == {"e1:a": 3}
    [first], [second] = await _deferred(workspace, 0), await _deferred(workspace, 1)
    _check_deferred(first, record, attempts="1", status="503")
    _check_deferred(second, record, attempts="2", status="500")
    failed_at = [one.facts["hookstream-first-failed-at"] for one in (first, second)]
    assert failed_at[0] == failed_at[1]
    assert await workspace.dead_letters() == []
    assert numbers['hookstream_deliveries_total{hook="a",outcome="retried"}'] == 2
    assert numbers['hookstream_deliveries_total{hook="a",outcome="delivered"}'] == 1


def _check_deferred(deferred: Placed, record: Placed, *, attempts: str, status: str) -> None:
    assert (deferred.key, deferred.value) == (record.key, record.value)
    facts = deferred.facts
    assert facts["hookstream-delivery-id"] == "e1:a"
    assert facts["hookstream-hook"] == "a"
    assert facts["hookstream-attempts"] == attempts
    assert facts["hookstream-last-status"] == status
    assert facts["hookstream-source"] == record.source
    assert facts["hookstream-trigger"] == "event"
    assert facts["hookstream-reason"]
    since = float(facts["hookstream-first-failed-at"])
    assert since <= float(facts["hookstream-not-before"])


async def test_attempts_end_and_the_dead_letter_is_exhausted(workspace: Workspace) -> None:
    """After `retry.max_attempts` attempts in all the record is a dead letter with every fact."""
    await workspace.create_topics()
    workspace.write_settings(retry={"max_attempts": 2})
    async with Receiver(otherwise=_answer(503)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config):
            record = await _write(workspace)
            dead_letter = await _only_letter(workspace)
            await wait_until(workspace.caught_up, "the record to be settled")
        assert ids(receiver.requests) == {"e1:a": 2}
    assert (dead_letter.key, dead_letter.value) == (record.key, record.value)
    facts = dead_letter.facts
    assert facts["hookstream-reason"] == "exhausted"
    assert facts["hookstream-delivery-id"] == "e1:a"
    assert facts["hookstream-hook"] == "a"
    assert facts["hookstream-attempts"] == "2"
    assert facts["hookstream-last-status"] == "503"
    assert facts["hookstream-source"] == record.source
    assert facts["hookstream-trigger"] == "event"
    assert float(facts["hookstream-first-failed-at"]) > 0
    assert "hookstream-not-before" not in facts


async def test_other_answers_are_permanent_at_once(workspace: Workspace) -> None:
    """A redirect or a client error is neither retried nor followed."""
    statuses = ("301", "400", "404")

    def answer(head: bytes) -> Reply:
        return response(int(parse(head).target.rpartition("/")[2]), "Location: /h/elsewhere/302")

    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=answer) as receiver:
        hooks = [hook(f"h{status}", receiver.origin, f"/{status}") for status in statuses]
        workspace.write_hooks(*hooks)
        async with InProcess(workspace.config):
            await _write(workspace)
            await wait_until(workspace.caught_up, "the record to be settled")
        assert ids(receiver.requests) == {f"e1:h{status}": 1 for status in statuses}
    dead_letters = await workspace.dead_letters()
    assert {one.facts["hookstream-hook"] for one in dead_letters} == {f"h{one}" for one in statuses}
    for dead_letter in dead_letters:
        assert dead_letter.facts["hookstream-reason"] == "permanent"
        assert (
            "h" + dead_letter.facts["hookstream-last-status"]
            == dead_letter.facts["hookstream-hook"]
        )


async def test_a_hook_is_disabled_while_its_record_is_deferred(workspace: Workspace) -> None:
    """A deferred record whose hook is disabled meanwhile is a dead letter `disabled` without a
    request.

    1. A record is deferred, and the daemon stops. 2. Its hook is disabled. 3. The next run makes
    the record a dead letter `disabled`, and no request.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(otherwise=_answer(503)) as receiver:
        other, gone = hook("other", receiver.origin, select=["x"]), hook("a", receiver.origin)
        workspace.write_hooks(other, gone)
        async with InProcess(workspace.config):
            record = await _write(workspace)
            await _deferred(workspace, 0)
        before = len(receiver.requests)
        workspace.write_hooks(other, {**gone, "enabled": False})
        async with InProcess(workspace.config):
            dead_letter = await _only_letter(workspace)
            await wait_until(workspace.caught_up, "the record to be settled")
        assert len(receiver.requests) == before
    assert dead_letter.facts["hookstream-reason"] == "disabled"
    assert dead_letter.facts["hookstream-hook"] == "a"
    assert dead_letter.facts["hookstream-source"] == record.source
    assert (dead_letter.key, dead_letter.value) == (record.key, record.value)


async def test_a_hook_is_away_while_its_record_is_deferred(workspace: Workspace) -> None:
    """A deferred record whose hook is missing is deferred again without a request until the hook is
    back.

    1. A record is deferred, and the daemon stops. 2. Its hook is removed: the next run defers the
    record again, without a request. 3. The hook is there again, and the record is delivered.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver(response(503)) as receiver:
        other, gone = hook("other", receiver.origin, select=["x"]), hook("a", receiver.origin)
        workspace.write_hooks(other, gone)
        async with InProcess(workspace.config):
            await _write(workspace)
            await _deferred(workspace, 0)
        workspace.write_hooks(other)
        async with InProcess(workspace.config):
            both = await _deferred(workspace, 0, 2)
            (again,) = (one for one in both if "hookstream-unknown-since" in one.facts)
            assert len(receiver.requests) == 1
        assert float(again.facts["hookstream-unknown-since"]) > 0
        assert again.facts["hookstream-attempts"] == "1"
        workspace.write_hooks(other, gone)
        async with InProcess(workspace.config):
            await wait_until(workspace.caught_up, "the record to be settled")
        assert ids(receiver.requests) == {"e1:a": 2}
    assert await workspace.dead_letters() == []


async def test_a_deferred_record_survives_a_restart(workspace: Workspace) -> None:
    """A deferred record survives a restart and is sent to the hook as it is defined then.

    1. Records are deferred, and the daemon stops. 2. The hook's URI changes. 3. The next run sends
    each when it is due, with the same webhook-id, to the hook as it is defined now.
    """
    names = [f"e{number}" for number in range(20)]
    await workspace.create_topics()
    workspace.write_settings()
    down = True
    async with Receiver(otherwise=lambda _head: response(503 if down else 200)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config):
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await _deferred(workspace, 0, len(names))
        before, down = len(receiver.requests), False
        workspace.write_hooks(hook("a", receiver.origin, "?v=2"))
        async with InProcess(workspace.config):
            await wait_until(workspace.caught_up, "the deferred ones to be settled")
        late = receiver.requests[before:]
        assert ids(late) == {f"{name}:a": 1 for name in names}
        assert {parse(head).target for head in late} == {"/h/a?v=2"}
    assert await workspace.dead_letters() == []


async def test_a_foreign_record_on_a_retry_topic_is_a_dead_letter(workspace: Workspace) -> None:
    """Another program's record on a retry topic, without our headers, is a dead letter and holds
    nothing up.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config):
            [record] = await workspace.cluster.produce(workspace.retry_topics[0], [event("alien")])
            await wait_until(workspace.caught_up, "the retry topic to be settled")
        assert receiver.requests == []
    [dead_letter] = await workspace.dead_letters()
    assert dead_letter.facts["hookstream-source"] == record.source
    assert dead_letter.facts["hookstream-reason"] == "undecodable"
    assert dead_letter.value == record.value
