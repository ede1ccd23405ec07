"""Every metric of docs/reference/metrics.md, kept as plain numbers and read at scrape time."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from consumer.exposition import by_label, counter, gauge, histogram, number
from consumer.metrics.hooks import EventMetrics, HookMetrics
from consumer.metrics.stream import StreamMetrics


class Metrics(Collector):
    """All numbers of one daemon; registers itself and the process's own metrics.

    Label values are bounded: hooks come from the loaded table, topics and partitions from the
    settings and the assignment, everything else from fixed lists.
    """

    def __init__(self, version: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._version = version
        self.stream = StreamMetrics()
        self._events: defaultdict[str, EventMetrics] = defaultdict(EventMetrics)
        self._hooks: defaultdict[str, HookMetrics] = defaultdict(HookMetrics)
        self._reloads = {"ok": 0, "failed": 0}
        self._last_reload_successful = False
        self._hook_count = 0
        self._log_lines_dropped: Callable[[], int] | None = None
        self._spans_dropped: Callable[[], int] | None = None
        self._delivery_log_dropped: Callable[[], int] = lambda: 0
        self._filtered: Callable[[], Iterator[tuple[str, int]]] = lambda: iter(())
        self._live: tuple[Callable[[], int], Callable[[], int]] | None = None
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

    def retain_hooks(self, hook_ids: Container[str]) -> None:
        """Drop the series of hooks that a reload removed: of all but these.

        A hook that comes back later starts from 0, which Prometheus takes as a counter's reset.
        """
        for hook_id in [known for known in self._hooks if known and known not in hook_ids]:
            del self._hooks[hook_id]

    def hooks_loaded(self, count: int) -> None:
        """A table of `count` hooks was loaded: at the start or by a reload."""
        self.hooks_in_use(count)
        self._last_reload_successful = True

    def hooks_in_use(self, count: int) -> None:
        """So many hooks are in use, after a change of live definitions."""
        self._hook_count = count

    def forget_hooks(self, hook_ids: Iterable[str]) -> None:
        """Drop the series of these hooks, which live definitions no longer have."""
        for hook_id in hook_ids:
            self._hooks.pop(hook_id, None)

    def set_live_source(self, problems: Callable[[], int], offset: Callable[[], int]) -> None:
        """Read the state of the live definitions at each scrape."""
        self._live = problems, offset

    def set_filtered_source(self, read: Callable[[], Iterator[tuple[str, int]]]) -> None:
        """Read with `read`, at each scrape, how many events the conditions of each hook stopped."""
        self._filtered = read

    def open_circuits(self) -> Iterator[str]:
        """The hooks whose circuit is open."""
        return (hook for hook, metrics in self._hooks.items() if metrics.circuit_open)

    def disabled_hooks(self) -> Iterator[str]:
        """The hooks that answers of 410 disabled."""
        return (hook for hook, metrics in self._hooks.items() if metrics.disabled)

    def learned_rates(self) -> Iterator[tuple[str, float]]:
        """The hooks whose receiver's rate is learnt, and this in requests a second."""
        return (
            (hook, metrics.learned_rate)
            for hook, metrics in self._hooks.items()
            if metrics.learned_rate
        )

    def set_log_lines_dropped_source(self, read: Callable[[], int]) -> None:
        """Read the log lines that could not be written with `read` at each scrape."""
        self._log_lines_dropped = read

    def set_delivery_log_dropped_source(self, read: Callable[[], int]) -> None:
        """Read the records of the delivery log that were not written with `read` at each scrape."""
        self._delivery_log_dropped = read

    def set_spans_dropped_source(self, read: Callable[[], int]) -> None:
        """Read the spans that no collector has with `read` at each scrape."""
        self._spans_dropped = read

    def reload_succeeded(self) -> None:
        """A reload put a new table in use; `hooks_loaded` tells its size."""
        self._reloads["ok"] += 1

    def reload_failed(self) -> None:
        """A reload was refused and the old table stays."""
        self._reloads["failed"] += 1
        self._last_reload_successful = False

    def collect(self) -> Iterator[Metric]:
        """Every family, complete when it is yielded."""
        yield counter(
            "hookstream_events",
            "Events taken from Kafka.",
            ("trigger", "result"),
            by_label({trigger: events.results for trigger, events in self._events.items()}),
        )
        yield counter(
            "hookstream_events_filtered",
            "Events that a hook's conditions (`when`) stopped.",
            ("hook",),
            (((hook,), count) for hook, count in self._filtered()),
        )
        yield from self._collect_hooks()
        yield from self.stream.collect()
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
            "1 if the hook's deliveries are deferred without an attempt.",
            ("hook",),
            (((hook,), metrics.circuit_open) for hook, metrics in hooks),
        )
        yield gauge(
            "hookstream_hook_disabled",
            "1 if the hook's receiver answered 410 until the hook was disabled.",
            ("hook",),
            (((hook,), metrics.disabled) for hook, metrics in hooks),
        )
        yield gauge(
            "hookstream_paused_until_timestamp_seconds",
            "Epoch seconds before which the hook's receiver asked for no request (Retry-After).",
            ("hook",),
            (((hook,), metrics.paused_until) for hook, metrics in hooks),
        )
        yield gauge(
            "hookstream_learned_rate",
            "Requests a second that the hook's receiver takes from this replica, learnt from 429.",
            ("hook",),
            (((hook,), metrics.learned_rate) for hook, metrics in hooks),
        )
        yield counter(
            "hookstream_connections_given_up",
            "Times that kept connections were given up because an attempt on one timed out.",
            ("hook",),
            (((hook,), metrics.connections_given_up) for hook, metrics in hooks),
        )
        yield counter(
            "hookstream_disabled_matches",
            "Events that a hook with `enabled: false` would have fired for.",
            ("hook",),
            (((hook,), metrics.disabled_matches) for hook, metrics in hooks),
        )

    def _collect_loads(self) -> Iterator[Metric]:
        yield number("hookstream_hooks", "Hooks in use.", self._hook_count)
        if self._live is not None:
            problems, offset = self._live
            yield number(
                "hookstream_hook_problems",
                "Live definitions that are not in force as they were written.",
                problems(),
            )
            yield number(
                "hookstream_hooks_offset",
                "Offset of the last live definition that was applied.",
                offset(),
            )
        yield counter(
            "hookstream_reloads",
            "Reloads of settings and hooks.",
            ("result",),
            (((result,), count) for result, count in self._reloads.items()),
        )
        yield number(
            "hookstream_last_reload_successful",
            "1 if the last load of settings and hooks was good.",
            self._last_reload_successful,
        )
        yield counter(
            "hookstream_delivery_log_dropped",
            "Records of the delivery log that were not written.",
            (),
            [((), self._delivery_log_dropped())],
        )
        if self._spans_dropped is not None:
            yield counter(
                "hookstream_spans_dropped",
                "Spans that the collector of traces did not take.",
                (),
                [((), self._spans_dropped())],
            )
        if self._log_lines_dropped is not None:
            yield counter(
                "hookstream_log_lines_dropped",
                "Log lines that standard error did not take.",
                (),
                [((), self._log_lines_dropped())],
            )
        yield gauge(
            "hookstream_build_info",
            "Always 1; the version is a label.",
            ("version",),
            [((self._version,), 1)],
        )
