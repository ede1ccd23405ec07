"""The demo's receiver: alone, as docker-compose.yml runs it."""

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from consumer.demo.receiver import Receiver
from support.broker import free_port
from support.waiting import wait_until


@pytest.fixture
def port() -> Iterator[int]:
    """Of a receiver that runs in a process of its own; on exit SIGTERM must end it."""
    port = free_port()
    module = [sys.executable, "-m", "consumer.demo.receiver"]
    process = subprocess.Popen(
        [*module, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield port
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "GET /collect/none?uid=u42" in output, "what arrives is seen in its log"
        assert "İstanbul" in output
    finally:
        process.kill()
        process.wait()


async def test_alone(port: int) -> None:
    """The demo's receiver answers 200 to every request, logs it, counts it on its page, and ends by
    SIGTERM.
    """
    origin = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:

        async def answers() -> bool:
            try:
                async with session.get(f"{origin}/collect/none?uid=u42", headers=_CITY) as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await wait_until(answers, "the receiver to listen")
        async with session.get(origin) as page:
            text = await page.text()
    (line,) = [line for line in text.splitlines() if line.startswith("healthy")]
    assert line.split()[-3:] == ["1", "x", "200"]


_CITY = {"x-city": "İstanbul"}


def _client() -> TestClient:  # type: ignore[type-arg]
    receiver = Receiver(random.Random(1), verbose=False)  # noqa: S311  # no secret
    return TestClient(TestServer(receiver.app(), handler_cancellation=True))


async def test_behaviours() -> None:
    """The first step of the path selects how the demo's receiver answers."""
    async with _client() as client:
        assert (await client.get("/down/x")).status == 503
        assert (await client.get("/healthy/x")).status == 200
        assert (await client.get("/whatever")).status == 200
        flaky = Counter([(await client.get("/flaky/x")).status for _ in range(100)])
        assert set(flaky) == {200, 503}
        assert 10 < flaky[503] < 45
        began = asyncio.get_running_loop().time()
        assert (await client.get("/slow/x")).status == 200
        assert asyncio.get_running_loop().time() - began >= 0.39


async def test_one_that_hangs() -> None:
    """A hanging endpoint of the demo's receiver never answers, and its request is dropped when the
    client leaves.
    """
    async with _client() as client:
        with pytest.raises(TimeoutError):
            await client.get("/hang/x", timeout=aiohttp.ClientTimeout(total=0.2))
        page = await (await client.get("/")).text()
    (line,) = [line for line in page.splitlines() if line.startswith("hang")]
    assert line.split() == ["hang", "never", "answers", "1"]
