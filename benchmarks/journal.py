"""What the delivery log costs a delivery in this process, by its parts.

`python -m benchmarks.journal` (`--deliveries`, `--rounds`). The same delivered attempts go through
the observer, the encoder of rows and the builder of batches in turn, each time one part further:
the figures are the least of all rounds, so they are usable on a machine that others use too.
libcurl's times, the request to Kafka and the kernel come on top. `PYTHONPATH=.cache/compiled:.
python -P -m benchmarks.journal` measures what `make compiled` compiled.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from random import Random

from benchmarks.events import SPRING, event
from consumer.clock import SystemClock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.observers import AttemptDetails
from consumer.delivery.scheduling.retry_policy import DELIVERED
from consumer.events.decode import Decoder
from consumer.journal.observer import JournalObserver
from consumer.journal.rows import RowEncoder
from consumer.records.tracker import OffsetTracker
from consumer.stream.batch_builder import BatchPacker, LogRecord
from support.fakes import FakeRecord, make_hook
from support.scheduler_harness import SchedulerHarness

_TOPIC = "hookstream.deliveries"
_REPLICA = "hookstream-7d9c5b6f4-x2x9z-0123456789ab"
_PARTITIONS = 4
_BATCH_BYTES = 512 * 1024
_WRITE = 5_000
"""Deliveries of one write."""
_ROWS_AT_ONCE = 300
_STEPS = ("observed", "and encoded", "and packed", "and built")
_DEFAULT = "with the defaults"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    attempts = _attempts(options.deliveries)
    least: dict[str, float] = {}
    gc.disable()
    for _ in range(options.rounds):
        for number, name in enumerate((*_STEPS, _DEFAULT)):
            is_default = name == _DEFAULT
            steps = len(_STEPS) if is_default else number + 1
            seconds = _cost(attempts, steps, 0.0 if is_default else 1.0)
            least[name] = min(least.get(name, seconds), seconds)
    for name, seconds in least.items():
        print(f"{name:<20} {seconds / options.deliveries * 1e6:6.2f} us a delivery")


def _attempts(number: int) -> list[AttemptDetails]:
    """Delivered attempts of one hook, each for another user."""
    hook, decoder = make_hook(SPRING, uri="http://receiver.example/hook"), Decoder("push_click")
    endpoint = SchedulerHarness().scheduler.endpoint(hook)
    began, attempts = SystemClock().monotonic(), []
    for offset in range(number):
        record = FakeRecord(event(offset), topic="push-click", offset=offset)
        decoded = decoder(record)
        delivery = Delivery(
            id=f"{decoded.id}:{hook.id}",
            event=decoded,
            endpoint=endpoint,
            source_record=OffsetTracker("push-click", 0, 0).receive(offset, record, 1, began),
        )
        result = AttemptResult(status=204, duration=0.012345)
        attempts.append(AttemptDetails(delivery, 1, result, began + offset / 10_000, DELIVERED))
    return attempts


def _cost(attempts: Sequence[AttemptDetails], steps: int, successes: float) -> float:
    """Seconds of CPU of so many of `_STEPS`."""
    for attempt in attempts:
        attempt.result.phases = None
    random: Callable[[], float] = Random(1).random  # noqa: S311  # the same each time
    observer = JournalObserver(
        clock=SystemClock(), random=random, failures=True, successes=successes
    )
    encoder = RowEncoder(_REPLICA, "hookstream", b"k" * 32)
    wanted, attempted = observer.wanted, observer.attempted
    began = time.thread_time()
    for start in range(0, len(attempts), _WRITE):
        for attempt in attempts[start : start + _WRITE]:
            if wanted(attempt.result.status):
                attempt.result.phases = 0, 0, 0, 11_234
            attempted(attempt)
        rows, _ = observer.take()
        if steps == 1:
            continue
        records: list[LogRecord] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            records += encoder.encode_some(rows, first, first + _ROWS_AT_ONCE, _TOPIC)
        _batches(records, steps)
    return time.thread_time() - began


def _batches(records: list[LogRecord], steps: int) -> None:
    packer = BatchPacker(_BATCH_BYTES, {_TOPIC: _PARTITIONS})
    if steps >= _STEPS.index("and packed") + 1:
        packer.add(records, 0, len(records))
    if steps >= _STEPS.index("and built") + 1:
        for batches in packer.batches.values():
            for batch in batches:
                batch.build(1, 1, 0)


if __name__ == "__main__":
    main()
