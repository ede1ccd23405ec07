"""What a developer would write instead of the daemon: a good one, with uvloop and orjson.

It renders the same request. It has no retries, and a hung endpoint stops it: that is its price.
"""

import asyncio
import logging
import ssl
import sys

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer


async def run(servers: str, topic: str, group: str, hooks: dict[str, list[str]], ca: str) -> None:
    """Call `hooks[subject]` for each event of `topic`."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, group_id=group,
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip
    limit = asyncio.Semaphore(64)
    tls = ssl.create_default_context(cafile=ca or None)

    async def deliver(session: aiohttp.ClientSession, url: str, event: dict) -> None:  # type: ignore[type-arg]
        data, user = event["data"], event["user"]
        campaign = event["notification"]["hooks"]["analytics"]["campaign"]
        params = {"uid": user["id"], "t": event["occurred_at"], "n": data["n"]}
        headers = {"X-Api-Key": "k", "X-City": user["attributes"]["city"]}
        async with (
            limit,
            session.get(f"{url}/{campaign}", params=params, headers=headers) as answer,
        ):
            await answer.read()
            answer.raise_for_status()

    connector = aiohttp.TCPConnector(limit=64, ssl=tls)
    async with (
        consumer,
        aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=10)
        ) as session,
    ):
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            events = [orjson.loads(record.value) for batch in batches.values() for record in batch]
            calls = [
                deliver(session, url, e)
                for e in events
                for url in hooks.get(e["notification"]["id"], ())
            ]
            for result in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(result, BaseException):
                    logging.error("not delivered: %r", result)
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:4], orjson.loads(sys.argv[4]), sys.argv[5]))
