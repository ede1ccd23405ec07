"""Lets the deliveries of each user to a hook with `order: user` begin one after the other."""

from collections import deque
from collections.abc import Callable
from typing import Final

from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.events.decode import user_of
from consumer.records.order_line import Line, line_key
from consumer.records.tracker import InFlightRecord
from consumer.stream.overflow_topic import OverflowTopic

MAX_FOLLOWERS: Final = 1_024
"""Deliveries that wait in memory behind others of their lines, of all lines together. One line may
have as many as are left free (the dynamic threshold of shared-memory switches, Choudhury and Hahne
1998)."""


class UserOrder:
    """Submits deliveries in their lines, of which `records/order_lines.py` keeps the rules."""

    def __init__(self, overflow: OverflowTopic, scheduler: Scheduler) -> None:
        self._overflow = overflow
        self._lines = overflow.lines
        self._lines.go_on = self._go_on
        self._scheduler = scheduler
        self.max_followers = MAX_FOLLOWERS
        self._followers: dict[int, deque[Delivery]] = {}
        """By line, the deliveries that wait in memory."""
        self._heads: dict[int, Delivery] = {}
        """By line, the delivery that was submitted directly."""
        self._number = 0
        self._stopping: set[int] = set()
        """Lines whose followers are written and not sent, since their assignment ends."""

    def take(self, delivery: Delivery) -> bool:
        """Take on a delivery whose turn is not known: it begins, waits or is written. Returns
        False, and does nothing, if its event has no user.
        """
        user = user_of(delivery.event)
        if user is None:
            return False
        record, hook = delivery.source_record.record, delivery.endpoint.hook.id
        delivery.order = key = line_key(hook, record.topic, record.partition, user)
        line = self._lines.line(key, hook, record.partition)
        if line.followers or (line.direct and line.is_busy):
            self._follow(line, delivery)
        elif hook not in self._lines.crowded and self._lines.may_begin(line):
            self._begin(line, delivery)
        elif self._scheduler.line_up(delivery):
            self._overflow.catch_up.went_behind()
        return True

    def release(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Let the followers overflow whose source record is `which`, once they may."""
        for key, followers in self._followers.items():
            if any(which(delivery.source_record) for delivery in followers):
                self._stopping.add(key)

    def sweep(self) -> None:
        """Forget deliveries that are another member's, after an assignment."""
        self._lines.sweep()
        # A line of which nothing is known any more does not go on.
        kept = [(key, each) for key, each in self._heads.items() if not each.source_record.revoked]
        self._heads = dict(kept)

    def _begin(self, line: Line, delivery: Delivery) -> None:
        self._heads[line.key] = delivery
        self._lines.begin(line, delivery.source_record)
        self._scheduler.submit(delivery)

    def _follow(self, line: Line, delivery: Delivery) -> None:
        followers = self._followers.setdefault(line.key, deque())
        followers.append(delivery)
        line.followers += 1
        self._number += 1
        if line.followers > self.max_followers - self._number:
            # They may be written only behind the one before them.
            self._scheduler.set_aside(self._heads[line.key])

    def _go_on(self, line: Line) -> None:
        """Submit the next follower of `line`, or write all of them."""
        self._heads.pop(line.key, None)
        followers = self._followers.get(line.key)
        while followers:
            delivery = followers.popleft()
            line.followers -= 1
            self._number -= 1
            if delivery.source_record.revoked:
                continue
            if line.key not in self._stopping and self._lines.may_go_on(line):
                self._begin(line, delivery)
                break
            self._scheduler.line_up(delivery)
        if followers is not None and not followers:
            self._followers.pop(line.key, None)
            self._stopping.discard(line.key)
