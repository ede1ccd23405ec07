"""A framework: FastStream, which commits a batch when its handler has returned."""

import asyncio
import ssl
import sys
from typing import Any

import aiohttp
import orjson
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker


async def run(servers: str, topic: str, group: str, hooks: str, ca_file: str) -> None:
    """Call the URLs that `hooks` (JSON) has for the subject of each event of `topic`."""
    urls: dict[str, list[str]] = orjson.loads(hooks)
    tls = ssl.create_default_context(cafile=ca_file or None)
    limit = asyncio.Semaphore(64)
    connector = aiohttp.TCPConnector(limit=64, ssl=tls)
    timeout = aiohttp.ClientTimeout(total=10)
    broker = KafkaBroker(servers, logger=None)

    async def deliver(url: str, event: dict[str, Any]) -> None:
        campaign = event["notification"]["hooks"]["analytics"]["campaign"]
        data, user = event["data"], event["user"]
        params = {"uid": user["id"], "t": event["occurred_at"], "n": data["n"]}
        headers = {"X-Api-Key": "k", "X-City": user["attributes"]["city"]}
        whole = f"{url}/{campaign}"
        async with limit, session.get(whole, params=params, headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()

    async def handle(events: list[dict[str, Any]]) -> None:
        await asyncio.gather(
            *(deliver(url, e) for e in events for url in urls.get(e["notification"]["id"], ()))
        )

    subscribe = broker.subscriber(
        topic, group_id=group, auto_offset_reset="earliest",
        batch=True, max_records=500, ack_policy=AckPolicy.NACK_ON_ERROR,
    )  # fmt: skip
    subscribe(handle)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await FastStream(broker).run()


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:]))
