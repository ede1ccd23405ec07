"""The table of deliveries on terminals of any width."""

import pytest
from rich.console import Console

from consumer.cli.deliveries_list import FULL_COLUMNS, table
from consumer.journal.log_search import FoundDelivery
from consumer.journal.records import DeliveryRecord, Followed, Phases

RECORD = DeliveryRecord(
    at="2026-11-24T21:05:06.120Z", delivery="01JD1:click-analytics", hook="click-analytics",
    source="t/0/1", replica="r", attempt=1, outcome=Followed.DEAD_LETTER, status=404,
    reason="permanent", ms=Phases(all=8.0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("width", "time"),
    [(80, "11-24 21:05:06"), (FULL_COLUMNS, "2026-11-24 21:05:06.120")],
)
def test_a_delivery_is_one_line_on_any_terminal(width: int, time: str) -> None:
    """On a terminal of 80 columns a delivery is one line with its time, hook, outcome, status and
    whole id, and on a wide one with all that the table has.
    """
    console = Console(width=width, record=True, highlight=False)
    console.print(table([FoundDelivery(RECORD, 0, 0, 1)], width))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    [line] = [line for line in lines if "dead_letter" in line]
    words = [time, "click-analytics", "dead_letter", "404", "01JD1:click-analytics"]
    if width == FULL_COLUMNS:
        words.append("permanent")
    assert all(word in line for word in words), line
