"""Lets the deliveries of each user to a hook with `order: user` begin one after the other."""

from collections import deque
from collections.abc import Callable
from typing import Final

from consumer.clock import Clock
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.events.decode import user_of
from consumer.records.order_line import Line, line_key
from consumer.records.tracker import InFlightRecord
from consumer.stream.overflow_topic import OverflowTopic

MAX_FOLLOWERS: Final = 1_024
"""Deliveries that wait in memory behind others of their lines, of all lines together."""
_PATIENCE_SECONDS: Final = 1.0
"""So long intake waits for those before them, which are set aside then."""


class UserOrder:
    """Submits deliveries in their lines, of which `records/order_lines.py` keeps the rules."""

    def __init__(self, overflow: OverflowTopic, scheduler: Scheduler, clock: Clock) -> None:
        self._overflow = overflow
        self._lines = overflow.lines
        self._lines.go_on = self._go_on
        self._scheduler = scheduler
        self._clock = clock
        self.max_followers = MAX_FOLLOWERS
        self._followers: dict[int, deque[Delivery]] = {}
        """By line, the deliveries that wait in memory."""
        self._heads: dict[int, Delivery] = {}
        """By line, the delivery that was submitted directly."""
        self._number = 0
        self._stopping: set[int] = set()
        """Lines whose followers are written and not sent, since their assignment ends."""

    @property
    def at_capacity(self) -> bool:
        """Whether intake must pause: no more deliveries may wait in memory."""
        return self._number >= self.max_followers

    def shed(self) -> None:
        """While intake pauses: let the longest of the lines wait in the overflow topic whose first
        delivery takes long, until half of the room is free.
        """
        stale_before = self._clock.monotonic() - _PATIENCE_SECONDS
        for key in sorted(self._followers, key=lambda key: -len(self._followers[key])):
            if 2 * self._number <= self.max_followers:
                return
            head = self._heads.get(key)
            if head is not None and (head.began or head.queued_at) < stale_before:
                # The others may be written only behind it.
                self._scheduler.set_aside(head)

    def take(self, delivery: Delivery) -> bool:
        """Take on a delivery whose turn is not known: it begins, waits or is written. Returns
        False, and does nothing, if its event has no user.
        """
        user = user_of(delivery.event)
        if user is None:
            return False
        record, hook = delivery.source_record.record, delivery.endpoint.hook.id
        home = self._lines.home_of(record.partition)
        delivery.order = key = line_key(hook, record.topic, record.partition, home, user)
        line = self._lines.line(key, hook, home)
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
