"""The options of `hookstream dead-letters`, and the messages for wrong ones."""

from collections.abc import AsyncIterator

import pytest
import typer
from typer.testing import CliRunner

from consumer.cli.commands import commands
from consumer.cli.dead_letters_choice import choose
from consumer.services.dead_letters import newest
from consumer.services.times import rfc3339
from consumer.stream.dead_letters import DeadLetterRecord, Selection
from support.dead_letters import metadata

NOW = 1_795_514_400.0


class _Clock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2h", NOW - 7_200),
        ("500ms", NOW - 0.5),
        ("2026-11-24T09:00:00Z", NOW - 3_600),
        ("2026-11-24T12:00:00.250+03:00", NOW - 3_599.75),
        ("999999999h", 0),
        ("1900-01-01T00:00:00Z", 0),
    ],
)
def test_since_is_a_time_or_a_duration(text: str, since: float) -> None:
    """`--since` is a time or a duration and becomes milliseconds since the epoch, never before
    it.
    """
    assert choose(None, None, text, _Clock()) == Selection(since=int(since * 1000))


@pytest.mark.parametrize("text", ["", "2d", "yesterday", "2026-11-24T09:00:00", "2026-11-24"])
def test_a_time_without_its_zone_is_refused(text: str) -> None:
    """A time without its zone is refused with a sentence that shows both forms."""
    with pytest.raises(
        typer.BadParameter, match=r"zone nor a duration; write a time as .*Z, or 2h"
    ):
        choose(None, None, text, _Clock())


def test_a_misspelt_reason_is_told_the_right_one() -> None:
    """A misspelt reason ends with exit code 2, the nearest reason and the whole list, before any
    broker is asked.
    """
    with pytest.raises(typer.BadParameter, match=r"mean exhausted\? there are: undecodable, rej"):
        choose(None, "exhaustd", None, _Clock())
    with pytest.raises(typer.BadParameter, match="is no reason; there are: undecodable"):
        choose(None, "zzz", None, _Clock())
    assert CliRunner().invoke(commands, ["dead-letters", "list", "--reason", "x"]).exit_code == 2


async def test_only_the_newest_are_kept_in_memory() -> None:
    """Only as many of the newest dead letters as were asked for are kept in memory, without their
    values, and all are counted.
    """
    held: list[DeadLetterRecord] = []

    async def dead_letters() -> AsyncIterator[DeadLetterRecord]:
        for n in (3, 1, 4, 0, 2):
            dead_letter = DeadLetterRecord(
                "dead", 0, n, n, None, b"value", 5, metadata(n, hook=f"h{n % 2}")
            )
            held.append(dead_letter)
            yield dead_letter

    kept, counts = await newest(dead_letters(), 2)
    assert [dead_letter.offset for dead_letter in kept] == [3, 4]
    assert all(dead_letter.value is None and dead_letter.value_bytes == 5 for dead_letter in kept)
    assert counts == {("h1", "exhausted"): 2, ("h0", "exhausted"): 3}
    assert all(dead_letter.value is not None for dead_letter in held)


def test_a_number_that_is_no_time_stays_a_number() -> None:
    """A header with an impossible time is shown as its number and does not end the list."""
    assert rfc3339(1e300) == "1e+300"
    assert rfc3339(None) is None
    assert rfc3339(NOW) == "2026-11-24T10:00:00.000Z"
