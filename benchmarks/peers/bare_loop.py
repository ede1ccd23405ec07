"""The least that Python can do: a loop around librdkafka and libcurl.

It commits what it has read, not what was delivered, and ignores the answers.
"""

import json
import sys
from collections import deque
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pycurl  # type: ignore[import-untyped]  # it ships no types
from confluent_kafka import Consumer


def run(servers: str, topic: str, group: str, hooks: str, ca_file: str) -> None:
    """Call the URLs that `hooks` (JSON) has for the subject of each event of `topic`."""
    urls: dict[str, list[str]] = json.loads(hooks)
    multi = pycurl.CurlMulti()
    free = [new_handle(ca_file) for _ in range(64)]
    waiting: deque[tuple[str, dict[str, Any]]] = deque()
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    under_way = 0
    while True:
        if len(waiting) < len(free) or not waiting:
            idle = not under_way and not waiting
            for record in consumer.consume(500, 0.2 if idle else 0.0):
                if (value := record.value()) is not None and record.error() is None:
                    event = orjson.loads(value)
                    waiting += [(url, event) for url in urls.get(event["notification"]["id"], ())]
        while free and waiting:
            handle = free.pop()
            prepare(handle, *waiting.popleft())
            multi.add_handle(handle)
            under_way += 1
        multi.perform()
        _, succeeded, failed = multi.info_read()
        for handle in [*succeeded, *(handle for handle, _, _ in failed)]:
            multi.remove_handle(handle)
            free.append(handle)
            under_way -= 1
        if under_way and not succeeded:
            multi.select(0.1)


def new_handle(ca_file: str) -> Any:
    """A handle for one request in flight."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.WRITEFUNCTION, len)
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.TIMEOUT, 10)
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    if ca_file:
        handle.setopt(pycurl.CAINFO, ca_file)
    return handle


def prepare(handle: Any, url: str, event: dict[str, Any]) -> None:
    """Prepare the same request as the other contestants."""
    campaign = event["notification"]["hooks"]["analytics"]["campaign"]
    data, user = event["data"], event["user"]
    query = urlencode({"uid": user["id"], "t": event["occurred_at"], "n": data["n"]})
    handle.setopt(pycurl.URL, f"{url}/{quote(campaign)}?{query}")
    city = f"X-City: {user['attributes']['city']}"
    handle.setopt(pycurl.HTTPHEADER, [b"X-Api-Key: k", city.encode()])


if __name__ == "__main__":
    run(*sys.argv[1:])
