"""Schemas that are asked for once, kept for good, and waited for while the registry is away."""

import asyncio
import json
from typing import Any

import pytest

from consumer.events.formats.schemas import SchemaId, WrittenSchema
from consumer.records.record import SchemaWantedError, UndecodableError
from consumer.registry.doubts import MAX_DOUBTS, WINDOW_SECONDS
from consumer.registry.known_schemas import (
    LOOK_SECONDS,
    MAX_PAUSE_SECONDS,
    NEGATIVE_SECONDS,
    KnownSchemas,
    pause_after,
)
from consumer.registry.source import RegistryAwayError, UnknownSchemaError
from support.fakes import FakeClock
from support.waiting import wait_until

SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "string"}]}
VALUE = b"\x04e1"


class FakeSource:
    """A registry that answers what the test says."""

    def __init__(self) -> None:
        self.asked: list[SchemaId] = []
        self.error: Exception | None = None
        self.schema: Any = SCHEMA

    async def fetch(self, schema_id: SchemaId) -> WrittenSchema:
        """See `SchemaSource`."""
        self.asked.append(schema_id)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return WrittenSchema("AVRO", json.dumps(self.schema))


class Registry:
    """Known schemas with a source and a clock of the test's."""

    def __init__(self) -> None:
        self.source, self.clock = FakeSource(), FakeClock()
        self.known = KnownSchemas(self.source, self.clock, lambda: 1.0)

    def wants(self, schema_id: SchemaId) -> float:
        """Ask for a schema that is not there; returns the seconds until the next look."""
        with pytest.raises(SchemaWantedError) as wanted:
            self.known.reader(schema_id)
        return wanted.value.seconds


async def test_a_schema_is_asked_for_once() -> None:
    """A schema that many records want is asked for once, and kept for good."""
    registry = Registry()
    for _ in range(5):
        assert registry.wants(7) == LOOK_SECONDS
    await registry.known.ask()
    registry.clock.advance(1e6)
    assert registry.known.reader(7)(VALUE, 0, None) == {"id": "e1"}
    assert registry.source.asked == [7]


async def test_it_is_asked_for_beside_the_records() -> None:
    """What records want is asked for by a task of its own, several schemas at a time."""
    registry = Registry()
    task = asyncio.ensure_future(registry.known.run())
    for schema_id in range(20):
        registry.wants(schema_id)
    await wait_until(lambda: not registry.known._wanted, "all schemas to be there")
    assert sorted(map(str, registry.source.asked)) == sorted(map(str, range(20)))
    task.cancel()


@pytest.mark.parametrize("error", [UndecodableError("is not in the registry"), None])
async def test_a_schema_that_there_is_not(error: Exception | None) -> None:
    """A schema that there is not, or that cannot be used, makes its records undecodable for a
    minute without another question, and is then asked for again.
    """
    registry = Registry()
    registry.source.error, registry.source.schema = error, 7
    registry.wants(9)
    await registry.known.ask()
    for _ in range(3):
        with pytest.raises(UndecodableError, match=r"schema 9: (is not in|its schema is no)"):
            registry.known.reader(9)
    assert registry.known.trouble == ""
    registry.clock.advance(NEGATIVE_SECONDS + 1)
    registry.source.error, registry.source.schema = None, SCHEMA
    registry.wants(9)
    await registry.known.ask()
    assert registry.known.reader(9).kind == "AVRO"


async def test_an_unknown_schema_is_asked_for_again() -> None:
    """An unknown schema is waited for, since the registry may follow another one that has it: it is
    asked for three times within ten seconds before its records are undecodable, and later once.
    """
    registry = Registry()
    registry.source.error = UnknownSchemaError("is not in the registry")
    registry.wants(9)
    for pause in (1.0, 3.0):
        await registry.known.ask()
        assert registry.wants(9) == pause
        registry.clock.advance(pause / 2)
        await registry.known.ask()
        registry.clock.advance(pause / 2)
    assert registry.known.trouble == ""
    for asked in (3, 4):
        registry.wants(9)
        await registry.known.ask()
        with pytest.raises(UndecodableError, match="schema 9: is not in"):
            registry.known.reader(9)
        assert registry.source.asked == [9] * asked
        registry.clock.advance(NEGATIVE_SECONDS + 1)


async def test_a_schema_that_comes_a_little_later() -> None:
    """A schema that the registry has a second later is read, and no record is given up for it."""
    registry = Registry()
    registry.source.error = UnknownSchemaError("is not in the registry")
    registry.wants(9)
    await registry.known.ask()
    registry.source.error = None
    registry.clock.advance(1.0)
    await registry.known.ask()
    assert registry.known.reader(9)(VALUE, 0, None) == {"id": "e1"}


async def test_another_schema_does_not_wait_for_an_unknown_one() -> None:
    """While an unknown schema waits for its next question, another one is asked for at once."""
    registry = Registry()
    registry.source.error = UnknownSchemaError("is not in the registry")
    task = asyncio.ensure_future(registry.known.run())
    registry.wants(9)
    await wait_until(lambda: registry.source.asked == [9], "the unknown schema")
    registry.source.error = None
    registry.wants(7)
    await wait_until(lambda: 7 in registry.known._readers, "the other schema")
    assert registry.source.asked == [9, 7]
    task.cancel()


async def test_made_up_ids_hold_a_partition_for_a_bounded_time() -> None:
    """Of unknown schemas no more than five in a minute are asked for again: a sender that makes up
    ids cannot hold a partition with each.
    """
    registry = Registry()
    registry.source.error = UnknownSchemaError("is not in the registry")
    for schema_id in range(8):
        registry.wants(schema_id)
    await registry.known.ask()
    assert len(registry.known._wanted) == MAX_DOUBTS
    registry.clock.advance(WINDOW_SECONDS + 1)
    registry.wants(10)
    await registry.known.ask()
    assert registry.wants(10) > LOOK_SECONDS


async def test_a_registry_that_is_away() -> None:
    """While the registry is away, records wait, it is asked at growing intervals, and readiness
    says so; then everything is well again.
    """
    registry = Registry()
    registry.source.error = RegistryAwayError("answers 503")
    assert registry.wants(7) == LOOK_SECONDS
    assert registry.known.why_not_ready() == ""
    pauses = []
    for _ in range(8):
        await registry.known.ask()
        pauses.append(registry.wants(7))
        registry.clock.advance(pauses[-1])
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert registry.known.why_not_ready() == (
        "records wait for a schema: the schema registry answers 503"
    )
    registry.source.error = None
    registry.wants(7)
    await registry.known.ask()
    assert registry.known.why_not_ready() == ""
    assert registry.known.reader(7).kind == "AVRO"
    assert registry.wants(8) == LOOK_SECONDS


async def test_what_wants_a_schema_knows_whether_the_registry_is_away() -> None:
    """A schema is wanted from a registry that is away between a question that failed and the next
    one, whose answer is waited for.
    """
    registry = Registry()
    registry.source.error = RegistryAwayError("does not answer")

    def is_away() -> bool:
        with pytest.raises(SchemaWantedError) as wanted:
            registry.known.reader(7)
        return wanted.value.is_away

    assert not is_away()
    await registry.known.ask()
    assert is_away()
    registry.clock.advance(MAX_PAUSE_SECONDS)
    assert not is_away()


async def test_a_schema_that_no_record_wants_any_more() -> None:
    """A schema whose partition has gone is not asked for, and does not make the process unready."""
    registry = Registry()
    registry.source.error = RegistryAwayError("answers 503")
    registry.wants(7)
    await registry.known.ask()
    registry.clock.advance(4 * MAX_PAUSE_SECONDS + 1)
    await registry.known.ask()
    assert (registry.source.asked, registry.known.why_not_ready()) == ([7], "")


async def test_schemas_that_the_registry_fails_at() -> None:
    """Schemas for which the registry answers with errors do not keep others from being asked for,
    however many they are.
    """
    registry = Registry()
    registry.source.error = RegistryAwayError("answers 500")
    for schema_id in range(20):
        registry.wants(schema_id)
    for _ in range(3):
        await registry.known.ask()
    assert {*registry.source.asked} == {*range(20)}


async def test_made_up_ids_take_bounded_memory() -> None:
    """Of ids that a sender makes up no more than ten thousand are remembered."""
    registry = Registry()
    for number in range(10_005):
        registry.known._refuse(number, "none")
    assert len(registry.known._refused) <= 10_000


def test_pauses_have_jitter() -> None:
    """Half of a pause is by chance, so that replicas do not ask all at once."""
    assert (pause_after(1, 0.0), pause_after(1, 1.0)) == (0.25, 0.5)
    assert pause_after(10_000, 1.0) == MAX_PAUSE_SECONDS
