"""Which deliveries of a line may go on, while partitions come and go."""

from consumer.records.order_line import NOTHING, Line
from consumer.records.order_lines import OrderLines
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import InFlightRecord, OffsetTracker
from support.fakes import FakeClock, make_record

KEY = 1


def owner(offset: int = 0) -> OrderLines:
    """The lines of the owner of a partition that is read from `offset` on."""
    lines = OrderLines(FakeClock())
    get_home(lines, offset)
    return lines


def get_home(lines: OrderLines, offset: int) -> None:
    """Assign the partition, whose end is `offset`."""
    lines.assign({0}, 1)
    lines.begun(OverflowTracker("overflow", 0, offset))
    lines.set_end(0, offset, lines.homes[0].asked)


def fail_one(lines: OrderLines) -> tuple[Line, InFlightRecord]:
    """A delivery that was sent directly has failed and is handed to the outbox."""
    record = OffsetTracker("event", 0, 0).receive(0, make_record({}), 1, 0.0)
    line = lines.line(KEY, "a", 0)
    lines.begin(line, record)
    lines.write(line, record, is_first=True)
    return line, record


def test_a_line_waits_for_what_it_has_written() -> None:
    """A line does not go on between the acknowledgement of its first delivery and its reading."""
    lines = owner()
    line, record = fail_one(lines)
    lines.acknowledged(KEY, record)
    assert (line.moving, lines.may_begin(line)) == (0, False)


def test_a_line_does_not_wait_for_what_another_member_has_settled() -> None:
    """A line whose partition was another member's while a write was unacknowledged goes on when the
    partition is read to the end that it has after the acknowledgement: that member may have settled
    the record, which is then not read here.
    """
    lines = owner()
    line, record = fail_one(lines)
    lines.revoke(0)
    get_home(lines, 1)
    assert not lines.may_begin(line)
    lines.acknowledged(KEY, record)
    assert line.moving == NOTHING
    assert not lines.may_begin(line)
    assert lines.unsure()
    lines.set_end(0, 1, lines.homes[0].asked)
    assert lines.may_begin(line)


def test_a_write_that_was_too_large_is_not_waited_for() -> None:
    """A line whose partition was another member's goes on if its write became a dead letter."""
    lines = owner()
    line, record = fail_one(lines)
    lines.revoke(0)
    get_home(lines, 1)
    lines.end(KEY, record)
    lines.set_end(0, 1, lines.homes[0].asked)
    assert lines.may_begin(line)
