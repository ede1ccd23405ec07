"""The metrics that operators alert on."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from consumer.metrics import STATUSES, Metrics, status_label
from consumer.reasons import ErrorKind, Reason

# Name, type and labels as docs/reference/metrics.md has them, in full (`le` is the histogram's).
CONTRACT = {
    "hookstream_events_total": ("counter", {"trigger", "result"}),
    "hookstream_deliveries_total": ("counter", {"hook", "outcome"}),
    "hookstream_attempts_total": ("counter", {"hook", "status"}),
    "hookstream_attempt_duration_seconds_bucket": ("histogram", {"hook", "le"}),
    "hookstream_attempt_duration_seconds_sum": ("histogram", {"hook"}),
    "hookstream_attempt_duration_seconds_count": ("histogram", {"hook"}),
    "hookstream_delivery_latency_seconds_bucket": ("histogram", {"hook", "le"}),
    "hookstream_delivery_latency_seconds_sum": ("histogram", {"hook"}),
    "hookstream_delivery_latency_seconds_count": ("histogram", {"hook"}),
    "hookstream_in_flight": ("gauge", set()),
    "hookstream_wanted_replicas": ("gauge", set()),
    "hookstream_consumer_lag": ("gauge", {"topic", "partition"}),
    "hookstream_partitions_unreadable": ("gauge", {"topic", "partition"}),
    "hookstream_partitions_awaiting_schema": ("gauge", {"topic", "partition"}),
    "hookstream_oldest_unsettled_seconds": ("gauge", set()),
    "hookstream_circuit_open": ("gauge", {"hook"}),
    "hookstream_hook_disabled": ("gauge", {"hook"}),
    "hookstream_paused_until_timestamp_seconds": ("gauge", {"hook"}),
    "hookstream_learned_rate": ("gauge", {"hook"}),
    "hookstream_connections_given_up_total": ("counter", {"hook"}),
    "hookstream_events_filtered_total": ("counter", {"hook"}),
    "hookstream_disabled_matches_total": ("counter", {"hook"}),
    "hookstream_dead_letters_total": ("counter", {"hook", "reason"}),
    "hookstream_hooks": ("gauge", set()),
    "hookstream_hook_problems": ("gauge", set()),
    "hookstream_hooks_offset": ("gauge", set()),
    "hookstream_reloads_total": ("counter", {"result"}),
    "hookstream_last_reload_successful": ("gauge", set()),
    "hookstream_handover_failures_total": ("counter", {"topic"}),
    "hookstream_delivery_log_dropped_total": ("counter", set()),
    "hookstream_build_info": ("gauge", {"version"}),
}


@pytest.fixture
def metrics() -> Metrics:
    """A daemon's metrics in a registry of their own."""
    return Metrics("1.2.3", CollectorRegistry())


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The value of one series, None where it does not exist."""
    return metrics.registry.get_sample_value(name, labels)


def exposition(metrics: Metrics) -> str:
    """The Prometheus text format of everything."""
    return generate_latest(metrics.registry).decode()


def used(metrics: Metrics) -> Metrics:
    """The same metrics with at least one series of every family."""
    hook = metrics.hook("h1")
    hook.attempt("2xx", 0.02)
    hook.latency(0.3)
    metrics.events("event")
    metrics.set_live_source(lambda: 1, lambda: 7)
    metrics.set_filtered_source(lambda: iter([("h1", 4)]))
    metrics.stream.declare_topics(["hookstream.retry.10s"])
    metrics.stream.set_in_flight_source(lambda: 1)
    metrics.stream.set_wanted_replicas_source(lambda: 0.5)
    metrics.stream.set_oldest_unsettled_source(lambda: 2.0)
    metrics.stream.set_lag_source(lambda: {("event", 0): 3})
    metrics.stream.set_unreadable_source(lambda: [("event", 1)])
    metrics.stream.set_awaiting_schema_source(lambda: [("event", 1)])
    return metrics


def test_every_documented_metric_has_its_name_type_and_labels(metrics: Metrics) -> None:
    """Every documented metric has its name, type and labels, and no other series bears the
    product's name (no `_created` among them).
    """
    text = exposition(used(metrics))
    found = {
        sample.name: (family.type, set(sample.labels))
        for family in parse_text(text)
        for sample in family.samples
        if sample.name.startswith("hookstream_")
    }
    assert found == CONTRACT


def test_the_openmetrics_text_has_the_same_series(metrics: Metrics) -> None:
    """The OpenMetrics text is valid and has the documented names."""
    text = generate_openmetrics(used(metrics).registry).decode()  # type: ignore[no-untyped-call]
    names = {
        sample.name
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.name.startswith("hookstream_")
    }
    assert names == set(CONTRACT)


def test_the_process_reports_itself(metrics: Metrics) -> None:
    """Memory, descriptors, interpreter, garbage collector and version are among the metrics."""
    names = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    assert {
        "process_resident_memory_bytes",
        "process_open_fds",
        "python_info",
        "python_gc_collections_total",
    } <= names
    assert read(metrics, "hookstream_build_info", version="1.2.3") == 1


@pytest.mark.parametrize("result", ["matched", "unmatched", "undecodable"])
def test_an_event_counts_under_its_trigger_and_result(metrics: Metrics, result: str) -> None:
    """An event counts under its trigger and result, and no other series changes."""
    getattr(metrics.events("geofence"), result)()
    getattr(metrics.events("geofence"), result)()
    counts = {
        name: read(metrics, "hookstream_events_total", trigger="geofence", result=name)
        for name in ("matched", "unmatched", "undecodable")
    }
    assert counts == {"matched": 0, "unmatched": 0, "undecodable": 0} | {result: 2}


def test_outcomes_count_under_their_hook(metrics: Metrics) -> None:
    """Outcomes count under their hook as delivered, retried or dead-lettered."""
    first, second = metrics.hook("first"), metrics.hook("second")
    for _ in range(3):
        first.delivered()
    for _ in range(2):
        first.retried()
    first.dead_lettered(Reason.EXPIRED)
    second.delivered()

    def outcomes(hook: str) -> list[float | None]:
        return [
            read(metrics, "hookstream_deliveries_total", hook=hook, outcome=outcome)
            for outcome in ("delivered", "retried", "dead_lettered")
        ]

    assert outcomes("first") == [3, 2, 1]
    assert outcomes("second") == [1, 0, 0]
    assert read(metrics, "hookstream_dead_letters_total", hook="first", reason="expired") == 1
    assert read(metrics, "hookstream_dead_letters_total", hook="second", reason="expired") == 0


def test_series_stand_at_zero_before_the_first_count(metrics: Metrics) -> None:
    """Series begin at zero, so that the first dead letter is a rise."""
    metrics.hook("quiet")
    metrics.stream.declare_topics(["hookstream.dead-letter"])
    for reason in Reason:
        assert read(metrics, "hookstream_dead_letters_total", hook="quiet", reason=reason) == 0
    for status in STATUSES:
        assert read(metrics, "hookstream_attempts_total", hook="quiet", status=status) == 0
    failures = "hookstream_handover_failures_total"
    assert read(metrics, failures, topic="hookstream.dead-letter") == 0
    metrics.stream.publish_failed("hookstream.dead-letter")
    assert read(metrics, failures, topic="hookstream.dead-letter") == 1


def test_label_values_are_bounded(metrics: Metrics) -> None:
    """A label value outside the closed list is refused and counted nowhere."""
    hook = metrics.hook("h1")
    with pytest.raises(KeyError):
        hook.attempt("6xx", 0.1)
    assert sum(hook.attempts.values()) == 0


@pytest.mark.parametrize(
    ("status", "label"),
    [
        (200, "2xx"),
        (299, "2xx"),
        (302, "3xx"),
        (404, "4xx"),
        (499, "4xx"),
        (500, "5xx"),
        (599, "5xx"),
        (600, "5xx"),
        (999, "5xx"),
        (101, "5xx"),
        (0, "5xx"),
    ],
)
def test_a_status_counts_as_its_class(status: int, label: str) -> None:
    """A status counts as its class, and one outside 200 to 599 as a server error (RFC 9110, section
    15).
    """
    assert status_label(status) == label
    assert label in STATUSES


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_error_is_a_label(metrics: Metrics, kind: ErrorKind) -> None:
    """Every error kind of a transport has a series."""
    hook = metrics.hook("h1")
    hook.attempt(status_label(0, kind), 0.1)
    assert read(metrics, "hookstream_attempts_total", hook="h1", status=kind.value) == 1


def test_durations_fall_into_cumulative_buckets(metrics: Metrics) -> None:
    """Durations fall into cumulative buckets, and a bound belongs to its own bucket."""
    hook = metrics.hook("h1")
    for seconds in (0.001, 0.005, 0.006, 0.2, 61.0):
        hook.attempt("2xx", seconds)
    name = "hookstream_attempt_duration_seconds"

    def bucket(le: str) -> float | None:
        return read(metrics, f"{name}_bucket", hook="h1", le=le)

    assert [bucket(le) for le in ("0.005", "0.01", "0.1", "0.25", "60.0", "+Inf")] == [
        2,
        3,
        3,
        4,
        4,
        5,
    ]
    assert read(metrics, f"{name}_count", hook="h1") == 5
    assert read(metrics, f"{name}_sum", hook="h1") == pytest.approx(61.212)


@pytest.mark.parametrize(
    ("retry_topics", "le", "below"),
    [
        ((10,), "15.0", "5.0"),
        ((10, 60), "90.0", "15.0"),
        ((10, 60, 600), "900.0", "90.0"),
        ((10, 60, 600, 3600), "5400.0", "900.0"),
        ((10, 60, 600, 3600, 21600), "36000.0", "5400.0"),
    ],
)
def test_a_latency_bucket_tells_the_retry_topic(
    metrics: Metrics, retry_topics: tuple[int, ...], le: str, below: str
) -> None:
    """A delivery after each default retry topic, with a fifth of jitter, falls into that topic's
    latency bucket.
    """
    hook = metrics.hook("h1")
    hook.latency(sum(retry_topics))
    hook.latency(sum(retry_topics) * 1.2)
    name = "hookstream_delivery_latency_seconds_bucket"
    assert read(metrics, name, hook="h1", le=le) == 2
    assert read(metrics, name, hook="h1", le=below) == 0


def test_a_clock_that_runs_ahead_does_not_lower_the_sum(metrics: Metrics) -> None:
    """An event's time in the future does not lower the latency's sum."""
    hook = metrics.hook("h1")
    hook.latency(2.0)
    hook.latency(-5.0)
    name = "hookstream_delivery_latency_seconds"
    assert read(metrics, f"{name}_sum", hook="h1") == 2.0
    assert read(metrics, f"{name}_bucket", hook="h1", le="0.01") == 1


def test_a_circuit_shows_as_one_while_open(metrics: Metrics) -> None:
    """A circuit's gauge is 1 while it is open."""
    hook = metrics.hook("h1")
    seen = [read(metrics, "hookstream_circuit_open", hook="h1")]
    for is_open in (True, False):
        hook.circuit(open=is_open)
        seen.append(read(metrics, "hookstream_circuit_open", hook="h1"))
    assert seen == [0, 1, 0]


def test_gauges_are_read_when_asked(metrics: Metrics) -> None:
    """Gauges of lag, in flight and age are read at each scrape."""
    lag = {("event", 0): 5}
    age = [1.5]
    in_flight = [2]
    metrics.stream.set_lag_source(lambda: lag)
    metrics.stream.set_oldest_unsettled_source(lambda: age[0])
    metrics.stream.set_in_flight_source(lambda: in_flight[0])
    assert read(metrics, "hookstream_in_flight") == 2
    age[0], in_flight[0] = 9.5, 64
    lag[("event", 0)], lag[("event", 1)] = 6, 7
    assert read(metrics, "hookstream_in_flight") == 64
    assert read(metrics, "hookstream_oldest_unsettled_seconds") == 9.5
    assert read(metrics, "hookstream_consumer_lag", topic="event", partition="0") == 6
    assert read(metrics, "hookstream_consumer_lag", topic="event", partition="1") == 7
    del lag[("event", 1)]
    assert read(metrics, "hookstream_consumer_lag", topic="event", partition="1") is None


def test_a_removed_hook_loses_its_series(metrics: Metrics) -> None:
    """A removed hook loses its series, and an attempt in flight does not bring them back."""
    gone = metrics.hook("gone")
    gone.attempt("2xx", 0.1)
    metrics.hook("stays").delivered()
    metrics.hook("").dead_lettered(Reason.UNDECODABLE)
    metrics.retain_hooks({"stays", "never-there"})
    gone.delivered()
    text = exposition(metrics)
    assert 'hook="gone"' not in text
    assert 'hook="stays"' in text
    assert 'hook=""' in text, "what belongs to no hook is of every table"
    assert metrics.hook("gone") is not gone


def test_a_live_deletion_drops_the_hooks_series(metrics: Metrics) -> None:
    """A hook that is deleted in the topic loses its series, others keep theirs, and the last
    reload's result stays as it was.
    """
    metrics.hooks_loaded(2)
    metrics.reload_failed()
    metrics.hook("gone").delivered()
    metrics.hook("stays").delivered()
    metrics.forget_hooks(["gone", "never-there"])
    metrics.hooks_in_use(1)
    text = exposition(metrics)
    assert 'hook="gone"' not in text
    assert 'hook="stays"' in text
    assert read(metrics, "hookstream_hooks") == 1
    assert read(metrics, "hookstream_last_reload_successful") == 0


def test_the_same_hook_and_trigger_share_their_counters(metrics: Metrics) -> None:
    """A hook that a reload keeps keeps its counters."""
    assert metrics.hook("h1") is metrics.hook("h1")
    assert metrics.events("event") is metrics.events("event")


def test_reloads_show_their_result(metrics: Metrics) -> None:
    """A refused reload is visible until a good one follows, and the number of hooks stays."""

    def state() -> list[float | None]:
        return [
            read(metrics, "hookstream_hooks"),
            read(metrics, "hookstream_last_reload_successful"),
            read(metrics, "hookstream_reloads_total", result="ok"),
            read(metrics, "hookstream_reloads_total", result="failed"),
        ]

    assert state() == [0, 0, 0, 0]
    metrics.hooks_loaded(3)
    assert state() == [3, 1, 0, 0]
    metrics.reload_failed()
    assert state() == [3, 0, 0, 1]
    metrics.reload_succeeded()
    metrics.hooks_loaded(4)
    assert state() == [4, 1, 1, 1]


def test_two_daemons_in_one_process_do_not_meet() -> None:
    """Two daemons in one process have separate registries."""
    one, other = Metrics("1"), Metrics("1")
    one.hook("h1").delivered()
    other.hook("h1")
    outcome = {"hook": "h1", "outcome": "delivered"}
    assert read(one, "hookstream_deliveries_total", **outcome) == 1
    assert read(other, "hookstream_deliveries_total", **outcome) == 0
