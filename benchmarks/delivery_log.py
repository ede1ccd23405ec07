"""What a search of the delivery log costs: a million records of one hook, searched to its start.

`python -m benchmarks.delivery_log` (wants Java; `--records`).
"""

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from consumer.clock import SystemClock
from consumer.journal.log_filter import parse_filter
from consumer.journal.log_search import FoundDelivery, Horizon, LogSearch
from consumer.settings import KafkaSettings
from support.broker import KafkaServer
from support.jars import kafka_jars

_HOOK = "click-analytics"
_PARTITIONS = 4
_SPAN_SECONDS = 7 * 24 * 3600
"""As long as the log is kept."""
_FIND_EVERY = 10_000
_SEARCHES: Mapping[str, Mapping[str, str]] = {
    "one delivery, the oldest": {"id": f"event-0:{_HOOK}"},
    "an event that is not there": {"event": "none"},
    "a user": {"user": "u42"},
    "status 5xx": {"status": "5xx"},
    "outcome dead_letter": {"outcome": "dead_letter"},
    "time-outs, of all hooks": {"status": "timeout", "hook": ""},
    "everything": {},
}


def _records(number: int) -> Iterator[tuple[int, bytes]]:
    """Timestamps in epoch milliseconds, and values as the daemon writes them."""
    began = time.time() - _SPAN_SECONDS
    for index in range(number):
        at = began + index * _SPAN_SECONDS / number
        failed = index % _FIND_EVERY == 0
        text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        value = {
            "format": 1,
            "at": text.replace("+00:00", "Z"),
            "delivery": f"event-{index}:{_HOOK}",
            "hook": _HOOK,
            "event": f"event-{index}",
            "source": f"push-click/{index % 12}/{index}",
            "attempt": 1,
            "status": 503 if failed else 204,
            "ms": {"dns": 0.0, "connect": 0.0, "tls": 0.0, "first_byte": 12.3, "all": 12.5},
            "outcome": "dead_letter" if failed else "delivered",
            "replica": "hookstream-7d9c5b6f4-x2x9z-0123456789ab",
            "user": f"{index:032x}",
            "trace": f"{index:032x}",
        }
        yield int(at * 1000), orjson.dumps(value)


def fill(bootstrap: str, topic: str, number: int) -> None:
    """Make the topic of the log, and write that many records of one hook, a week's."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for created in admin.create_topics(
        [NewTopic(topic, _PARTITIONS, 1, config={"retention.ms": "-1"})]
    ).values():
        created.result(30)
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 20}
    )
    began = time.monotonic()
    for timestamp, value in _records(number):
        while True:
            try:
                producer.produce(topic, value, key=_HOOK.encode(), timestamp=timestamp)
            except BufferError:
                producer.poll(0.1)
            else:
                producer.poll(0)
                break
    producer.flush(60)
    print(f"written: {number:,} records in {time.monotonic() - began:.1f} s")


async def _search(search: LogSearch, name: str, texts: Mapping[str, str]) -> None:
    wanted = parse_filter(
        {key: text for key, text in ({"hook": _HOOK} | dict(texts)).items() if text},
        now=time.time(),
        user_key=b"k" * 32,
    )
    began, cpu = time.monotonic(), time.process_time()
    first, found = 0.0, 0
    async for step in search.search(wanted):
        if isinstance(step, FoundDelivery):
            first = first or time.monotonic() - began
            found += 1
        elif isinstance(step, Horizon):
            print(
                f"{name:<28} {found:>9,} found of {step.records:>9,} in "
                f"{time.monotonic() - began:5.2f} s (CPU {time.process_time() - cpu:5.2f} s), "
                f"first after {first:.3f} s, {step.end}"
            )


async def _measure(bootstrap: str) -> None:
    settings = KafkaSettings(bootstrap_servers=[bootstrap])
    search = LogSearch(settings, SystemClock())
    for name, texts in _SEARCHES.items():
        await _search(search, name, texts)


def main() -> None:
    """Start a broker, write the records, search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    with TemporaryDirectory() as name, KafkaServer(kafka_jars(), Path(name) / "kafka") as server:
        fill(server.bootstrap, KafkaSettings().own_topics.deliveries, options.records)
        asyncio.run(_measure(server.bootstrap))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of this process: {peak // 1024} MB, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
