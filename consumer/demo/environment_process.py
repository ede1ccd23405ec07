"""The demo's environment in a process of its own: broker, receivers and a producer of events.

It is separate, so that the daemon's CPU time can be measured. It prints lines of JSON: addresses of
broker and receivers, and after the events, which `go` on standard input starts, their number. It
exits at the end of standard input, so it cannot outlive its parent.
"""

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable

from aiohttp import web
from confluent_kafka import Producer

from consumer.clock import Clock, SystemClock
from consumer.demo.events import generate_events
from consumer.demo.mock_cluster import MockCluster
from consumer.demo.receiver import BEHAVIOURS, Receiver

_BATCH_INTERVAL_SECONDS = 0.02
"""Time between two batches of events."""
_FLUSH_TIMEOUT_SECONDS = 10.0


def start_broker(topics: list[str]) -> tuple[Producer, str]:
    """Start the mock cluster with topics given as `name:partitions`. Returns a producer and the
    cluster's `host:port`.

    It never answers a request to create a topic, so it has all of them from the start.
    """
    cluster = MockCluster()
    for topic in topics:
        name, _, partitions = topic.partition(":")
        cluster.create_topic(name, int(partitions))
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0, "linger.ms": 5})
    return producer, cluster.bootstrap


async def start_receivers(seed: int) -> tuple[web.AppRunner, dict[str, int]]:
    """Start a receiver with one port for each behaviour, so that each is a host to the daemon."""
    receiver = Receiver(random.Random(seed), verbose=False)  # noqa: S311  # no secret
    runner = web.AppRunner(
        receiver.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    for _ in BEHAVIOURS:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    ports = [address[1] for address in runner.addresses]
    return runner, dict(zip(BEHAVIOURS, ports, strict=True))


async def produce(
    producer: Producer,
    *,
    seed: int,
    rate: int,
    seconds: float,
    clock: Clock,
    ended: Callable[[], bool],
) -> Counter[str]:
    """Produce `rate` events a second for `seconds`, or until `ended`. Returns counts by trigger."""
    events, total = generate_events(seed, clock), seconds * rate
    produced: Counter[str] = Counter()
    began = clock.monotonic()
    while not ended() and produced.total() < total:
        due = round(min(total, (clock.monotonic() - began) * rate))
        for _ in range(due - produced.total()):
            event = next(events)
            producer.produce(event.trigger.replace("_", "-"), event.value, event.key)
            produced[event.trigger] += 1
        producer.poll(0)
        await asyncio.sleep(_BATCH_INTERVAL_SECONDS)
    await asyncio.to_thread(producer.flush, _FLUSH_TIMEOUT_SECONDS)
    return produced


async def main(arguments: argparse.Namespace) -> None:
    """Run the environment as the module's docstring says."""
    producer, bootstrap = start_broker(arguments.topics)
    runner, ports = await start_receivers(arguments.seed)
    _send({"bootstrap": bootstrap, "ports": ports})
    if await asyncio.to_thread(sys.stdin.readline):
        end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        produced = await produce(
            producer,
            seed=arguments.seed,
            rate=arguments.rate,
            seconds=arguments.seconds,
            clock=SystemClock(),
            ended=end.done,
        )
        if not end.done():
            _send({"produced": produced})
        await end
    await runner.cleanup()


def _send(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201  # the protocol


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("topics", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_parse()))
