"""The headers of a replay, and how far they are trusted."""

from dataclasses import replace

import pytest

from consumer.records.delivery_metadata import (
    DeliveryMetadata,
    Replay,
    read_delivery_metadata,
    read_replay,
)
from consumer.stream.dead_letters import DeadLetterRecord, Selection
from consumer.stream.replay_route import Route
from support.dead_letters import metadata

TOLD = Replay("hookstream.dead-letter/3/14", 1_795_514_400.25)
ROUTE = Route("retry", {"source"}, "crm")


def _dead_letter(
    metadata: DeliveryMetadata | None, value: bytes | None = b"{}"
) -> DeadLetterRecord:
    return DeadLetterRecord("dead", 3, 14, 0, None, value, len(value or b""), metadata)


def test_delivery_metadata_keeps_its_replay() -> None:
    """Delivery metadata is the same after it was written and read, with and without a replay."""
    for whole in (metadata(1), replace(metadata(1), replay=TOLD)):
        assert read_delivery_metadata(whole.headers()) == whole


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("hookstream-replayed-from", b"a/1/2")],
        [("hookstream-replayed-at", b"1")],
        [("hookstream-replayed-from", b"\xff"), ("hookstream-replayed-at", b"1")],
        [("hookstream-replayed-from", b"a/1/2"), ("hookstream-replayed-at", b"soon")],
        [("hookstream-replayed-from", b"a/1/2"), ("hookstream-replayed-at", b"inf")],
        [("hookstream-replayed-from", None), ("hookstream-replayed-at", None)],
    ],
)
def test_half_a_replay_is_none(headers: list[tuple[str, bytes | None]]) -> None:
    """Incomplete or invalid replay headers count as none and raise nothing."""
    headers = [*headers, ("hookstream-replayed-by", b"crm")]
    assert read_replay(headers, b"crm") is None


def test_a_second_replay_takes_the_place_of_the_first() -> None:
    """A second replay's headers replace those of the first."""
    message = ROUTE.message(_dead_letter(replace(metadata(1), replay=TOLD)), 5.0)
    assert read_delivery_metadata(message.headers).replay == Replay("dead/3/14", 5.0)


@pytest.mark.parametrize(
    ("dead_dead_letter", "target"),
    [
        (_dead_letter(metadata(1, hook="a", reason="undecodable", topic="gone")), "retry"),
        (_dead_letter(metadata(1, hook="a", reason="permanent")), "retry"),
        (_dead_letter(metadata(1, hook="", reason="undecodable", topic="source")), "source"),
    ],
)
def test_where_a_dead_letter_goes(dead_dead_letter: DeadLetterRecord, target: str) -> None:
    """A dead letter with a delivery is replayed to the retry topic, and an undecodable record to
    its source.
    """
    assert ROUTE.why_not_replayable(dead_dead_letter) == ""
    assert ROUTE.message(dead_dead_letter, 0.0).topic == ROUTE.target(dead_dead_letter) == target


@pytest.mark.parametrize(
    ("dead_dead_letter", "why"),
    [
        (_dead_letter(None), "not written by hookstream"),
        (_dead_letter(metadata(1), None), "without its value"),
        (_dead_letter(metadata(1), b""), "without its value"),
        (_dead_letter(metadata(1, hook="", topic="gone")), "gone is no longer a source"),
    ],
)
def test_why_a_dead_letter_cannot_go(dead_dead_letter: DeadLetterRecord, why: str) -> None:
    """Each reason for which a dead letter cannot be replayed is a sentence for the plan."""
    assert why in ROUTE.why_not_replayable(dead_dead_letter)


@pytest.mark.parametrize(
    ("selection", "name"),
    [
        (Selection(), "all"),
        (Selection(since=5), "all"),
        (Selection(hook="click-analytics"), "hook=click-analytics"),
        (Selection("click-analytics", "exhausted", 5), "hook=click-analytics,reason=exhausted"),
    ],
)
def test_a_selection_has_a_stable_name(selection: Selection, name: str) -> None:
    """The name of a selection is stable, since it is part of the group that keeps the progress."""
    assert selection.name == name


def test_dead_letters_of_others_are_chosen_by_no_filter() -> None:
    """No filter by hook or reason selects another program's records."""
    foreign = _dead_letter(None)
    assert Selection().matches(foreign)
    assert not Selection(hook="a").matches(foreign)
    assert not Selection(reason="exhausted").matches(foreign)
