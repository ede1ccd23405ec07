"""A burst for a hook with a rate limit, and its cost for another hook."""

import time
from bisect import bisect_right
from itertools import count
from statistics import quantiles

from benchmarks.bench import Bench, Row, wait_for
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.events import event
from benchmarks.receiver import Hit, Receiver
from benchmarks.scenarios.throughput import require

_EVENTS = 20_000
_LIMIT, _BURST = 500, 50
"""Requests a second, and how many of them at once."""
_STEADY = 200
"""Events a second for the other hook, all the time."""
_CALM = 5.0
"""Seconds before the burst."""
_LIMITED, _OTHER = "limited", "other"
_SEEN = 1.02
"""Of what is allowed may be seen in a second: the receiver notes the ends of its answers, some
milliseconds behind the starts that the limit spaces."""


def burst(bench: Bench) -> list[Row]:
    """All events of the limited hook come at once; the other's before, between and after them."""
    events = bench.scaled(_EVENTS)
    topic, numbers = bench.broker.make_topic(), count()
    with (
        Receiver(bench.new_folder()) as receiver,
        bench.broker.producing(topic) as produce,
        bench.running(
            Daemon(), Task(bench.broker.bootstrap, topic, _endpoints(receiver))
        ) as daemon,
    ):
        produce(next(numbers), event(0, _OTHER))
        wait_for(receiver.answered, 1, daemon)
        began, cpu = time.time(), 0.0
        steady = done = 0
        while done < events:
            due = began + steady / _STEADY
            time.sleep(max(0.0, due - time.time()))
            produce(number := next(numbers), event(number, _OTHER))
            steady += 1
            if steady == _CALM * _STEADY:
                cpu = daemon.cpu
                for _ in range(events):
                    produce(number := next(numbers), event(number, _LIMITED))
            elif steady > _CALM * _STEADY:
                done = receiver.answered() - steady
        cpu = daemon.cpu - cpu
        wait_for(receiver.answered, events + steady + 1, daemon)
        hits = receiver.hits()
    require(hits, events + steady + 1)
    bench.broker.forget(topic)
    return _rows(hits, cpu, began + _CALM)


def _rows(hits: list[Hit], cpu: float, burst_at: float) -> list[Row]:
    limited = [hit for hit in hits if hit.path.startswith(f"/{_LIMITED}")]
    others = [hit for hit in hits if hit.path.startswith(f"/{_OTHER}")]
    took, least = limited[-1].at - limited[0].at, (len(limited) - _BURST) / _LIMIT
    most = most_in_a_second([hit.at for hit in limited])
    calm = [hit.delay for hit in others if burst_at - hit.sent_at > 1.0]
    busy = [hit.delay for hit in others if hit.sent_at >= burst_at]
    slow, before = quantiles(busy, n=100)[98], quantiles(calm, n=100)[98]
    allowed = _LIMIT + _BURST
    answered = len(limited) + len(busy)
    return [
        Row(f"{len(limited):,} events at {_LIMIT} a second, beside the least", "s",
            took, least, took / least),
        Row("most requests in one second, beside what is allowed", "count", most, allowed,
            most / allowed, f"<= {_SEEN}", most <= allowed * _SEEN),
        Row("the other hook's delay, 99th percentile, beside before", "s", slow, before,
            slow / before),
        Row("CPU per delivery, including the retry topics' work", "us", cpu / answered * 1e6),
    ]  # fmt: skip


def most_in_a_second(moments: list[float]) -> int:
    """The greatest number of the ascending `moments` within one second."""
    return max(bisect_right(moments, at + 1.0) - index for index, at in enumerate(moments))


def _endpoints(receiver: Receiver) -> list[Endpoint]:
    limit = {"requests": _LIMIT, "per": "1s", "burst": _BURST}
    return [
        Endpoint(_LIMITED, f"{receiver.origin}/{_LIMITED}", _LIMITED, rate_limit=limit),
        Endpoint(_OTHER, f"{receiver.origin}/{_OTHER}", _OTHER),
    ]
