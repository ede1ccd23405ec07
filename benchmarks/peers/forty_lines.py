"""A good script that a developer would write instead of the daemon, with uvloop and orjson.

It renders the same request. It has no retries, and a hung endpoint stops it.
"""

import asyncio
import logging
import ssl
import sys
from typing import Any

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer


async def run(servers: str, topic: str, group: str, hooks: str, ca_file: str) -> None:
    """Call the URLs that `hooks` (JSON) has for the subject of each event of `topic`."""
    urls: dict[str, list[str]] = orjson.loads(hooks)
    tls = ssl.create_default_context(cafile=ca_file or None)
    limit = asyncio.Semaphore(64)
    connector = aiohttp.TCPConnector(limit=64, ssl=tls)
    timeout = aiohttp.ClientTimeout(total=10)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, group_id=group,
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip

    async def deliver(url: str, event: dict[str, Any]) -> None:
        campaign = event["notification"]["hooks"]["analytics"]["campaign"]
        data, user = event["data"], event["user"]
        params = {"uid": user["id"], "t": event["occurred_at"], "n": data["n"]}
        headers = {"X-Api-Key": "k", "X-City": user["attributes"]["city"]}
        whole = f"{url}/{campaign}"
        async with limit, session.get(whole, params=params, headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()

    async with consumer, aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            records = [record for batch in batches.values() for record in batch]
            events = [orjson.loads(record.value) for record in records]
            calls = [
                deliver(url, e) for e in events for url in urls.get(e["notification"]["id"], ())
            ]
            for result in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(result, BaseException):
                    logging.error("not delivered: %r", result)  # noqa: LOG015  # a small script
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:]))
