"""Every metric of the contract's section 7, kept as plain numbers and read at scrape time.

A labelled counter of prometheus_client takes a lock and a histogram walks its buckets; an attempt
counted that way costs 1.2 us where plain integers cost 0.2 us. So the hot path adds to integers,
and one collector turns them into metric families when Prometheus asks. That is safe because
everything here, the scrape too, runs on the event loop's thread; nothing here is shared by threads.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from consumer.exposition import Histogram, by_label, counter, gauge, histogram, number

STATUSES = ("2xx", "3xx", "4xx", "5xx", "timeout", "connect", "dns", "tls", "blocked")
REASONS = (
    "undecodable",
    "rejected",
    "permanent",
    "exhausted",
    "expired",
    "blocked",
    "disabled",
    "hook_removed",
)
ATTEMPT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds. A good endpoint answers within a second; 60 s is more than any sensible time limit."""
LATENCY_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 90.0, 900.0, 5400.0, 36000.0)
"""Seconds. From 15 s on each edge lies just above what one more retry lane (10 s, 1 m, 10 m, 1 h,
6 h, each with a fifth of jitter) adds, so a bucket tells which lane a delivery came out of."""

_STATUS_CLASSES = ("5xx", "5xx", "2xx", "3xx", "4xx", "5xx")


def status_label(status: int, error: str | None = None) -> str:
    """The `status` label of one attempt: the error's kind where there is one, else the class.

    A final status outside 200 to 599 counts as a server error (RFC 9110, section 15), so an
    endpoint cannot invent label values.
    """
    if error is not None:
        return error
    return _STATUS_CLASSES[status // 100] if status < 600 else "5xx"  # noqa: PLR2004 RFC 9110


class EventMetrics:
    """What became of the events of one trigger."""

    __slots__ = ("results",)

    def __init__(self) -> None:
        self.results = {"matched": 0, "unmatched": 0, "undecodable": 0}

    def matched(self) -> None:
        """At least one hook wants the event."""
        self.results["matched"] += 1

    def unmatched(self) -> None:
        """No hook wants the event; it is settled at once."""
        self.results["unmatched"] += 1

    def undecodable(self) -> None:
        """The record is no event; its bytes go to the dead-letter topic."""
        self.results["undecodable"] += 1


class HookMetrics:
    """What became of the deliveries of one hook. The holder of a hook keeps this object.

    Dropped by `Metrics.keep` it still counts, for attempts in flight, but nobody reads it any more.
    """

    __slots__ = ("attempts", "circuit_open", "dead_letters", "duration", "latencies", "outcomes")

    def __init__(self) -> None:
        # Every label value is there from the start: a counter that first appears as 1 is no rise
        # to Prometheus, and an alert on the first dead letter would stay silent.
        self.outcomes = {"delivered": 0, "retried": 0, "dead_lettered": 0}
        self.attempts = dict.fromkeys(STATUSES, 0)
        self.dead_letters = dict.fromkeys(REASONS, 0)
        self.duration = Histogram(ATTEMPT_BUCKETS)
        self.latencies = Histogram(LATENCY_BUCKETS)
        self.circuit_open = False

    def delivered(self) -> None:
        """The endpoint answered with 2xx."""
        self.outcomes["delivered"] += 1

    def retried(self) -> None:
        """The broker acknowledged the delivery on a retry topic."""
        self.outcomes["retried"] += 1

    def dead_lettered(self, reason: str) -> None:
        """The broker acknowledged the delivery on the dead-letter topic.

        Raises:
            KeyError: `reason` is none of the contract's; label values are bounded.
        """
        self.dead_letters[reason] += 1
        self.outcomes["dead_lettered"] += 1

    def attempt(self, status: str, seconds: float) -> None:
        """One request ended after `seconds`; `status` comes from `status_label`.

        Raises:
            KeyError: `status` is none of `STATUSES`; label values are bounded.
        """
        self.attempts[status] += 1
        self.duration.observe(seconds)

    def latency(self, seconds: float) -> None:
        """Seconds from the event's own time to the 2xx; less than 0 counts as 0."""
        self.latencies.observe(seconds)

    def circuit(self, *, open: bool) -> None:
        """The hook's circuit opened or closed."""
        self.circuit_open = open


class Metrics(Collector):
    """All numbers of one daemon; registers itself and the process's own metrics.

    Label values are bounded: hooks come from the loaded table, topics and partitions from the
    settings and the assignment, everything else from fixed lists.
    """

    def __init__(self, version: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._version = version
        self._events: defaultdict[str, EventMetrics] = defaultdict(EventMetrics)
        self._hooks: defaultdict[str, HookMetrics] = defaultdict(HookMetrics)
        self._handover_failures: dict[str, int] = {}
        self._reloads = {"ok": 0, "failed": 0}
        self._last_reload_successful = False
        self._hook_count = 0
        self._in_flight: Callable[[], int] | None = None
        self._oldest_unsettled: Callable[[], float] | None = None
        self._lag: Callable[[], Mapping[tuple[str, int], int]] | None = None
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def events(self, trigger: str) -> EventMetrics:
        """The counters of one trigger; the same object for the same trigger."""
        return self._events[trigger]

    def hook(self, hook_id: str) -> HookMetrics:
        """The counters of one loaded hook; the same object until the hook is forgotten.

        The empty id stands for what belongs to no loaded hook: undecodable records and
        deliveries of removed hooks (an empty label value is an absent label to Prometheus).
        """
        return self._hooks[hook_id]

    def keep(self, hook_ids: Container[str]) -> None:
        """Drop the series of hooks that a reload removed: of all but these.

        A hook that comes back later starts from 0, which Prometheus takes as a counter's reset.
        """
        for hook_id in [known for known in self._hooks if known and known not in hook_ids]:
            del self._hooks[hook_id]

    def hooks_loaded(self, count: int) -> None:
        """A table of `count` hooks is in use: at the start or after a reload."""
        self._hook_count = count
        self._last_reload_successful = True

    def reload_succeeded(self) -> None:
        """A reload put a new table in use; `hooks_loaded` tells its size."""
        self._reloads["ok"] += 1

    def reload_failed(self) -> None:
        """A reload was refused and the old table stays."""
        self._reloads["failed"] += 1
        self._last_reload_successful = False

    def hands_over_to(self, topics: Iterable[str]) -> None:
        """Name the retry and dead-letter topics, so that their failures are counted from 0."""
        for topic in topics:
            self._handover_failures.setdefault(topic, 0)

    def handover_failed(self, topic: str) -> None:
        """The broker did not acknowledge a hand-over to one of the named topics.

        Raises:
            KeyError: `hands_over_to` never named the topic.
        """
        self._handover_failures[topic] += 1

    def in_flight_from(self, read: Callable[[], int]) -> None:
        """Read the number of attempts in flight with `read` at each scrape."""
        self._in_flight = read

    def oldest_unsettled_from(self, read: Callable[[], float]) -> None:
        """Read the age in seconds of the oldest unsettled event with `read` at each scrape."""
        self._oldest_unsettled = read

    def lag_from(self, read: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        """Read the records behind the end, by (topic, partition), with `read` at each scrape."""
        self._lag = read

    def collect(self) -> Iterator[Metric]:
        """Every family of the contract, complete when it is yielded."""
        yield counter(
            "hookstream_events",
            "Events taken from Kafka.",
            ("trigger", "result"),
            by_label({trigger: events.results for trigger, events in self._events.items()}),
        )
        yield from self._collect_hooks()
        yield from self._collect_stream()
        yield from self._collect_loads()

    def _collect_hooks(self) -> Iterator[Metric]:
        hooks = self._hooks.items()
        yield counter(
            "hookstream_deliveries",
            "Deliveries by their outcome.",
            ("hook", "outcome"),
            by_label({hook: metrics.outcomes for hook, metrics in hooks}),
        )
        yield counter(
            "hookstream_attempts",
            "HTTP requests by their result.",
            ("hook", "status"),
            by_label({hook: metrics.attempts for hook, metrics in hooks}),
        )
        yield counter(
            "hookstream_dead_letters",
            "Deliveries given up on, by reason.",
            ("hook", "reason"),
            by_label({hook: metrics.dead_letters for hook, metrics in hooks}),
        )
        yield histogram(
            "hookstream_attempt_duration_seconds",
            "Time of one HTTP request.",
            {hook: metrics.duration for hook, metrics in hooks},
        )
        yield histogram(
            "hookstream_delivery_latency_seconds",
            "Time from the event to the 2xx.",
            {hook: metrics.latencies for hook, metrics in hooks},
        )
        yield gauge(
            "hookstream_circuit_open",
            "1 where the hook's deliveries are parked without an attempt.",
            ("hook",),
            (((hook,), metrics.circuit_open) for hook, metrics in hooks),
        )

    def _collect_stream(self) -> Iterator[Metric]:
        if self._in_flight is not None:
            yield number("hookstream_in_flight", "HTTP requests under way.", self._in_flight())
        if self._oldest_unsettled is not None:
            yield number(
                "hookstream_oldest_unsettled_seconds",
                "Age of the oldest event that is not settled.",
                self._oldest_unsettled(),
            )
        if self._lag is not None:
            yield gauge(
                "hookstream_consumer_lag",
                "Records between the committed offset and the partition's end.",
                ("topic", "partition"),
                (((topic, str(partition)), lag) for (topic, partition), lag in self._lag().items()),
            )
        yield counter(
            "hookstream_handover_failures",
            "Hand-overs to a retry or dead-letter topic that the broker did not acknowledge.",
            ("topic",),
            (((topic,), count) for topic, count in self._handover_failures.items()),
        )

    def _collect_loads(self) -> Iterator[Metric]:
        yield number("hookstream_hooks", "Hooks in use.", self._hook_count)
        yield counter(
            "hookstream_reloads",
            "Reloads of settings and hooks.",
            ("result",),
            (((result,), count) for result, count in self._reloads.items()),
        )
        yield number(
            "hookstream_last_reload_successful",
            "1 where the last load of settings and hooks was good.",
            self._last_reload_successful,
        )
        yield gauge(
            "hookstream_build_info",
            "Always 1; the version is a label.",
            ("version",),
            [((self._version,), 1)],
        )
