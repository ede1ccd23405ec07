"""The cost of the delivery log and the reports, for one delivery without failures."""

from functools import partial
from statistics import median

from benchmarks.bench import Bench, Row, Run, Window, compare, rotate
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.receiver import Receiver
from benchmarks.scenarios.throughput import require

_EVENTS = 50_000
_WARM_UP = 10
"""The measurement begins after a tenth of the requests."""
_MAX_MICROSECONDS = {"everything logged": 4.0, "the defaults": 0.3}
_LOGS = {
    "everything logged": {"failures": True, "successes": 1.0},
    "the defaults": None,
    "off": {"failures": False, "successes": 0.0},
}


def delivery_log(bench: Bench) -> list[Row]:
    """Three daemons in turn: everything logged, the defaults, and no log."""
    events = bench.scaled(_EVENTS)
    topic = bench.fill(events)
    warm_up = events // _WARM_UP
    window = Window(warm_up, events, events - warm_up)

    def run(daemon: Daemon) -> Run:
        with Receiver(bench.new_folder()) as receiver:
            task = Task(bench.broker.bootstrap, topic, [Endpoint("only", receiver.origin)])
            found = bench.measure(daemon, task, receiver, window)
        require(found.hits, events)
        return found

    daemons = [Daemon(delivery_log=log) for log in _LOGS.values()]
    rounds = rotate(bench.pairs, [partial(run, daemon) for daemon in daemons])
    bench.broker.forget(topic)
    rows = []
    for index, (name, most) in enumerate(_MAX_MICROSECONDS.items()):
        pairs = [(each[index], each[-1]) for each in rounds]
        rows.append(compare(f"CPU per delivery, {name}", "us", pairs, lambda one: one.cpu, None))
        more = median(logged.cpu - off.cpu for logged, off in pairs)
        rows.append(
            Row(f"more CPU with {name}", "us", more, target=f"<= {most:g}", met=more <= most)
        )
        peak = compare(f"peak memory, {name}", "MB", pairs, lambda one: one.peak, None)
        rows.append(peak)
    return rows
