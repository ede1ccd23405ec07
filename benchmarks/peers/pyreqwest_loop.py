"""The forty lines with pyreqwest, the fastest asynchronous client, which is written in Rust."""

import asyncio
import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer
from pyreqwest.client import ClientBuilder


async def run(servers: str, topic: str, group: str, hooks: str, ca_file: str) -> None:
    """Call the URLs that `hooks` (JSON) has for the subject of each event of `topic`."""
    urls: dict[str, list[str]] = orjson.loads(hooks)
    builder = ClientBuilder().max_connections(64).timeout(timedelta(seconds=10))
    builder = builder.follow_redirects(enable=False).no_proxy().error_for_status(enable=True)
    if ca_file:
        builder = builder.add_root_certificate_pem(Path(ca_file).read_bytes())  # noqa: ASYNC240  # once
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, group_id=group,
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip

    async def deliver(url: str, event: dict[str, Any]) -> None:
        campaign = event["notification"]["hooks"]["analytics"]["campaign"]
        data, user = event["data"], event["user"]
        params = {"uid": user["id"], "t": event["occurred_at"], "n": data["n"]}
        headers = {"X-Api-Key": "k", "X-City": user["attributes"]["city"]}
        request = client.get(f"{url}/{campaign}").query(params).headers(headers).build()
        await request.send()

    async with consumer, builder.build() as client:
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
