"""What traces cost a delivery, beside the same deliveries without them.

`python -m benchmarks.traces` (`--events`, `--rounds`). The parts of the daemon between Kafka and
the network, with both in memory, take the same events in turn: without tracing, with no event
sampled, and with one in a hundred sampled, whose spans go to a collector in a process of its own.
The CPU is that of the whole process, with the exporter's thread, so the sides differ by the traces
alone; the share is that of what a whole delivery costs in published.json.
"""

import argparse
import gc
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random
from statistics import median

from benchmarks.published import PUBLISHED, read_results
from consumer.tracing.otlp import OtlpExporter
from consumer.tracing.span_queue import SpanQueue
from support.fakes import FakeRecord, make_hook
from support.pipeline_harness import PipelineHarness

_VALUE = b'{"id": "e1", "occurred_at": 1799999999000, "data": {"event_key": "purchase"}}'
_TRACEPARENT = b"00-%032x-00f067aa0ba902b7-%02x"
_SAMPLED_EVERY = 100
_BATCH = 500
_CLOSE_SECONDS = 30.0
_SIDES: Mapping[str, float | None] = {
    "off": None,
    "on, none sampled": 0.0,
    "on, 1 % sampled": 0.01,
    "off, a header each": None,
    "on, a header each, none sampled": 0.0,
    "on, a header each, 1 % sampled": 0.0,
}
"""With `tracing.sample`; None: without tracing."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="of each side and round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    whole = read_results(PUBLISHED)["plain"].find("CPU per delivery").ours
    ours, theirs = get_context("spawn").Pipe()
    collector = get_context("spawn").Process(target=_collect, args=(theirs,), daemon=True)
    collector.start()
    port = ours.recv()
    costs: dict[str, list[float]] = {name: [] for name in _SIDES}
    for number in range(options.rounds):
        for name in list(_SIDES)[:: 1 if number % 2 else -1]:
            costs[name].append(_cost(name, options.events, f"http://127.0.0.1:{port}"))
    collector.terminate()
    print(f"CPU of {options.events} events, median of {options.rounds} rounds (whole: {whole} us)")
    for name, seconds in costs.items():
        base = costs["off, a header each" if "header" in name else "off"]
        more = median(one - off for one, off in zip(seconds, base, strict=True))
        share = 100 * more / whole
        print(
            f"{name:<32} {median(seconds):7.2f} us  {more:+6.2f} us  {share:+6.2f} % of a delivery"
        )


def _cost(name: str, events: int, endpoint: str) -> float:
    """Microseconds of CPU for one event with one delivery."""
    harness = PipelineHarness(make_hook("h1"), sample=_SIDES[name])
    exporter = OtlpExporter(endpoint, "0", "benchmark")
    exporter.export([])  # connects: once in the life of a process
    queue = SpanQueue(exporter)
    if harness.tracer is not None:
        harness.tracer.sink = queue
    queue.start()
    records = _records(name, events)
    gc.collect()
    began = time.process_time()
    for start in range(0, events, _BATCH):
        for record in records[start : start + _BATCH]:
            harness.handle(record)
            harness.transport.answer_all(200)
    queue.close(_CLOSE_SECONDS)
    seconds = time.process_time() - began
    if queue.dropped:
        raise SystemExit(f"{queue.dropped} spans were dropped")
    return seconds / events * 1e6


def _records(name: str, events: int) -> list[FakeRecord]:
    chance = Random(1)  # noqa: S311  # the same each time
    records = []
    for offset in range(events):
        is_sampled = name.endswith("each, 1 % sampled") and offset % _SAMPLED_EVERY == 0
        value = _TRACEPARENT % (chance.getrandbits(128) | 1, is_sampled)
        headers = [("traceparent", value)] if "header" in name else []
        records.append(FakeRecord(_VALUE, topic="event", offset=offset, headers=headers))
    return records


class _Sink(BaseHTTPRequestHandler):
    """Takes what comes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer as a collector does."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _collect(parent: Connection) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Sink)
    parent.send(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
