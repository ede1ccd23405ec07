"""A receiver of webhooks whose endpoints behave well or badly, to watch requests arrive.

`python -m consumer.demo.receiver --port 8080` serves it. The first step of the path names the
behaviour (`/slow/visits`); any other path is answered at once. `/` shows counts.
"""

import argparse
import asyncio
import random
from collections import Counter, defaultdict
from http import HTTPStatus

from aiohttp import web

BEHAVIOURS = {
    "healthy": "answers at once",
    "slow": "takes 0.4 s",
    "flaky": "fails one in four",
    "down": "always says 503",
    "hang": "never answers",
}
_SLOW_SECONDS = 0.4
"""Time that the slow endpoint takes."""
_FAILURE_PROBABILITY = 0.25


def behaviour_of(path: str) -> str:
    """The behaviour that the first step of a path names; any other path is answered at once."""
    step = path.split("/")[1]
    return step if step in BEHAVIOURS else "healthy"


class Receiver:
    """Answers GETs; `chance` decides which requests fail."""

    def __init__(self, chance: random.Random, *, verbose: bool) -> None:
        self._chance = chance
        self._verbose = verbose
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def app(self) -> web.Application:
        """The application, which may be served on several ports."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/{tail:.+}", self._receive)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        behaviour = behaviour_of(request.path)
        self._counts[behaviour]["came"] += 1
        if self._verbose:
            print(_line(request), flush=True)  # noqa: T201  # its output
        status = await self._behave(behaviour)
        self._counts[behaviour][str(status.value)] += 1
        return web.Response(status=status, text=f"{status.phrase}\n")

    async def _behave(self, behaviour: str) -> HTTPStatus:
        match behaviour:
            case "slow":
                await asyncio.sleep(_SLOW_SECONDS)
            case "flaky" if self._chance.random() < _FAILURE_PROBABILITY:
                return HTTPStatus.SERVICE_UNAVAILABLE
            case "down":
                return HTTPStatus.SERVICE_UNAVAILABLE
            case "hang":
                await asyncio.Event().wait()  # until the client leaves
        return HTTPStatus.OK

    async def _page(self, _request: web.Request) -> web.Response:
        lines = [f"{'endpoint':<10}{'behaviour':<20}{'requests':>10}  answers"]
        for behaviour, words in BEHAVIOURS.items():
            counts = self._counts[behaviour]
            answers = ", ".join(
                f"{n} x {status}" for status, n in counts.items() if status != "came"
            )
            lines.append(f"{behaviour:<10}{words:<20}{counts['came']:>10}  {answers}")
        return web.Response(text="\n".join(lines) + "\n")


def _line(request: web.Request) -> str:
    headers = [
        f"{name}: {value!r}"
        for name, value in request.headers.items()
        if name.lower() not in _USUAL_HEADERS
    ]
    return f"GET {request.raw_path}  {', '.join(headers)}"


_USUAL_HEADERS = frozenset({"host", "accept", "user-agent"})


def main() -> None:
    """Serve on one port until a signal arrives."""
    parser = argparse.ArgumentParser(description="Answers hookstream's requests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    receiver = Receiver(random.Random(), verbose=True)  # noqa: S311  # no secret
    web.run_app(
        receiver.app(),
        host=arguments.host,
        port=arguments.port,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=1.0,
    )


if __name__ == "__main__":
    main()
