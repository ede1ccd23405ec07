"""What lies outside the daemon, as a process of its own: broker, receiver, and those who click.

In a process of its own, so that the daemon's costs are the daemon's. It speaks in lines of JSON:
first where broker and receivers are, and after the events, which `go` on standard input starts,
how many there were. It ends when standard input does: it cannot outlive whoever started it.
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
from consumer.demo.receiver import BEHAVIOURS, Receiver

_TICK = 0.02
"""Seconds between two batches of events."""
_METADATA_TIMEOUT = 10.0


def start_broker(topics: list[str]) -> tuple[Producer, str]:
    """The mock cluster of librdkafka, which lives as long as its producer; its `host:port`.

    Topics appear there when somebody asks for them; its answer to a request to create one never
    comes, so the daemon must find all that it needs.
    """
    producer = Producer(
        {
            "bootstrap.servers": "replaced by the mock cluster's",
            "test.mock.num.brokers": 1,
            "log_level": 0,
            "linger.ms": 5,
        }
    )
    (broker,) = producer.list_topics(timeout=_METADATA_TIMEOUT).brokers.values()
    for topic in topics:
        producer.list_topics(topic, timeout=_METADATA_TIMEOUT)
    return producer, f"{broker.host}:{broker.port}"


async def start_receivers(seed: int) -> tuple[web.AppRunner, dict[str, int]]:
    """One port for each behaviour, so that each is a host of its own to the daemon."""
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
    """`rate` events a second, for so many seconds or until `ended`; their number by trigger."""
    events, total = generate_events(seed, clock), round(seconds * rate)
    produced: Counter[str] = Counter()
    began = clock.monotonic()
    while not ended() and produced.total() < total:
        due = min(total, int((clock.monotonic() - began) * rate))
        for _ in range(due - produced.total()):
            event = next(events)
            producer.produce(event.trigger.replace("_", "-"), event.value, event.key)
            produced[event.trigger] += 1
        producer.poll(0)
        await asyncio.sleep(_TICK)
    await asyncio.to_thread(producer.flush, _METADATA_TIMEOUT)
    return produced


async def main(arguments: argparse.Namespace) -> None:
    """Set up, tell, wait for `go`, produce, tell, wait for the end."""
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
