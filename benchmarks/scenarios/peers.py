"""The same deliveries by programs that one would write, or use, instead of the daemon."""

from functools import partial

from benchmarks.bench import Bench, Row, Run, Window, compare, rotate
from benchmarks.contestants import PEERS, Contestant, Daemon, Endpoint, Task
from benchmarks.receiver import Receiver
from benchmarks.scenarios.throughput import require

_EVENTS = 50_000
CPU, RATE, PEAK = "CPU per delivery", "deliveries a second", "peak memory"
"""The beginning of each figure's name; the peer's name follows."""


def peers(bench: Bench) -> list[Row]:
    """Run `plain` by the daemon and all peers in turn."""
    events = bench.scaled(_EVENTS)
    topic = bench.fill(events)
    window = Window(events // 10, events, events - events // 10)

    def run(contestant: Contestant) -> Run:
        with Receiver(bench.new_folder()) as receiver:
            task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
            found = bench.measure(contestant, task, receiver, window)
        require(found.hits, events)
        return found._replace(hits=())

    rounds = rotate(bench.pairs, [partial(run, each) for each in (Daemon(), *PEERS)])
    bench.broker.forget(topic)
    rows = []
    for index, peer in enumerate(PEERS, start=1):
        pairs = [(each[0], each[index]) for each in rounds]
        rows += [
            compare(f"{CPU}, {peer.name}", "us", pairs, lambda run: run.cpu, None),
            compare(f"{RATE}, {peer.name}", "1/s", pairs, lambda run: run.per_second, None),
            compare(f"{PEAK}, {peer.name}", "MB", pairs, lambda run: run.peak, None),
        ]
    return rows
