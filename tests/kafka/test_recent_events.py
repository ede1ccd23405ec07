"""Recent events from a real broker, and a definition against them."""

from contextlib import aclosing

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.services import events
from consumer.services.events import RecentEvents, event_at, recent_names, replay_recent
from consumer.services.replay import Result
from consumer.settings import KafkaSettings, Settings, SourceSettings
from support.cluster import Cluster
from support.fakes import make_hook, make_value


def _settings(cluster: Cluster, *topics: str) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=(cluster.bootstrap,), group_id="no-group"),
        sources=tuple(SourceSettings(topic=topic, trigger="event") for topic in topics),
    )


def _event(number: int, **more: object) -> bytes:
    return orjson.dumps({"id": f"e{number}", "data": {"event_key": f"k{number % 2}"}, **more})


async def _ids(settings: Settings, count: int) -> list[str]:
    recent = RecentEvents(settings, "event", count, SystemClock())
    async with aclosing(recent.read()) as found:
        return [one.event.id async for one in found]


async def test_the_last_events_come_newest_first(cluster: Cluster, topic_prefix: str) -> None:
    """The last events of all partitions of all source topics of a trigger come newest first, and
    topics that do not exist or are empty hold up nothing.
    """
    topics = [f"{topic_prefix}.{n}" for n in range(3)]
    settings = _settings(cluster, *topics, f"{topic_prefix}.none")
    await cluster.create(topics, partitions=3)
    for number in range(40):
        key = str(number).encode()
        await cluster.produce(topics[number % 2], [_event(number)], key=key, linger_ms=0)
    assert await _ids(settings, 7) == [f"e{n}" for n in range(39, 32, -1)]
    assert await _ids(settings, 1_000) == [f"e{n}" for n in range(39, -1, -1)]
    async with cluster.admin() as admin:
        groups = await admin.list_consumer_groups()
    assert "no-group" not in [name for name, *_ in groups]


async def test_a_definition_is_tried_on_the_last_events(
    cluster: Cluster, topic_prefix: str
) -> None:
    """A definition against the last events says for how many it would fire, what stops it, and why
    it would be rejected; records that are no events are counted.
    """
    settings = _settings(cluster, topic_prefix)
    await cluster.create([topic_prefix], partitions=1)
    user = {"user": {"id": "u", "attributes": {"city": "canary"}}}
    values = [_event(n, **(user if n < 6 else {})) for n in range(10)]
    await cluster.produce(topic_prefix, [*values, b"no event", None], key=b"k")
    hook = make_hook(
        trigger="event",
        select=frozenset({"k1"}),
        parameters=[("city", make_value("profile", "city", "reject"))],
    )
    found = await replay_recent(settings, hook, 12, SystemClock())
    assert (found.events, found.undecodable, found.stopped_by) == (10, 2, "")
    told = {(one.result, one.why): one.count for one in found.outcomes}
    assert told == {
        (Result.STOPPED, "select"): 5,
        (Result.FIRES, ""): 3,
        (Result.REJECTED, "parameter city has no value"): 2,
    }
    assert "canary" not in repr(found)
    names = await recent_names(settings, "event", 100, SystemClock(), values=False)
    assert [(one.name, one.count) for one in names.names.subjects] == [("k1", 5), ("k0", 5)]
    assert ("canary" in repr(names), names.undecodable) == (False, 2)
    shown = await recent_names(settings, "event", 100, SystemClock(), values=True)
    assert shown.names.parts["user.attributes"][0].examples == ("canary",)


async def test_large_events_are_bounded(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading stops at a bound of bytes, and of time, and says so."""
    settings = _settings(cluster, topic_prefix)
    await cluster.create([topic_prefix], partitions=1)
    await cluster.produce(topic_prefix, [_event(n, pad="x" * 100_000) for n in range(40)])
    monkeypatch.setattr(events, "MAX_BYTES", 1024 * 1024)
    found = await replay_recent(settings, make_hook(trigger="event"), 1_000, SystemClock())
    assert (found.events, found.stopped_by) == (10, "1 MiB of events")
    monkeypatch.setattr(events, "MAX_SECONDS", 0.0)
    found = await replay_recent(settings, make_hook(trigger="event"), 1_000, SystemClock())
    assert (found.events, found.stopped_by) == (0, "0 s")


async def test_a_trigger_without_a_source_is_refused(cluster: Cluster) -> None:
    """A trigger that no source has is refused with a hint."""
    with pytest.raises(HookstreamError, match="no source has the trigger geofence"):
        await replay_recent(
            _settings(cluster, "t"), make_hook(trigger="geofence"), 5, SystemClock()
        )


async def test_an_event_is_found_by_its_place(cluster: Cluster, topic_prefix: str) -> None:
    """An event is found by its topic, partition and offset as long as its record is there, however
    many came since; a place of another topic, trigger or form has none.
    """
    settings, clock = _settings(cluster, topic_prefix), SystemClock()
    await cluster.create([topic_prefix, f"{topic_prefix}.other"], partitions=1)
    await cluster.produce(topic_prefix, [b"no event", *(_event(n) for n in range(1, 500))])
    await cluster.produce(f"{topic_prefix}.other", [_event(0)])
    for offset in (1, 250, 499):
        found = await event_at(settings, "event", f"{topic_prefix}/0/{offset}", clock)
        assert found is not None
        assert (found.event.id, found.record_ref) == (f"e{offset}", f"{topic_prefix}/0/{offset}")
    for ref in (f"{topic_prefix}/0/0", f"{topic_prefix}/0/500", f"{topic_prefix}/0/9999",
                f"{topic_prefix}/7/1", f"{topic_prefix}.other/0/0", f"{topic_prefix}/0/-1",
                f"{topic_prefix}/0/x", topic_prefix, ""):  # fmt: skip
        assert await event_at(settings, "event", ref, clock) is None, ref
    assert await event_at(settings, "push_click", f"{topic_prefix}/0/1", clock) is None
    async with cluster.admin() as admin:
        await admin.delete_records({TopicPartition(topic_prefix, 0): RecordsToDelete(100)})
    assert await event_at(settings, "event", f"{topic_prefix}/0/99", clock) is None
    assert await event_at(settings, "event", f"{topic_prefix}/0/100", clock) is not None
