"""Series in which each alert fires, and nearly the same in which it does not, a sample a minute.

Values are promtool's: `0x60` is 0 sixty times more, `0+5x60` grows by 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Series = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One alert's series at `at`."""

    fires: Series
    quiet: tuple[Series, ...]
    at: str = "30m"


ME = 'job="hookstream",instance="a:9464"'
OTHER = 'job="hookstream",instance="b:9464"'


def one(name: str, labels: str, values: str) -> Series:
    """A single series of one replica."""
    return {f"{name}{{{ME}{',' if labels else ''}{labels}}}": values}


def gauge(name: str, labels: str = "", *, fires: str = "1x60", quiet: str = "0x60") -> Case:
    """A gauge that fires at one value, and not at another, nor when it has it for no time."""
    return Case(one(name, labels, fires), (one(name, labels, quiet),))


def counter(name: str, labels: str = "", *, at: str = "30m") -> Case:
    """A counter that fires when it rises late, and not when it rose long ago or not at all."""
    return Case(
        one(name, labels, "0x25 1x60"), (one(name, labels, "7x60"), one(name, labels, "0x60")), at
    )


def lasting(case: Case, too_short: Series) -> Case:
    """The same, with one more that has not lasted for as long as the alert waits."""
    return Case(case.fires, (*case.quiet, too_short), case.at)


DEAD = "hookstream_dead_letters_total"
PROBE = 'probe_success{job="hookstream-panel",instance="http://panel:8460/healthz"}'
LATENCY = "hookstream_delivery_latency_seconds_bucket"

CASES: Mapping[str, Case] = {
    "HookstreamDown": lasting(gauge("up", fires="0x60", quiet="1x60"), one("up", "", "1x29 0x9")),
    "HookstreamStuck": lasting(
        gauge("hookstream_oldest_unsettled_seconds", fires="301x60", quiet="300x60"),
        one("hookstream_oldest_unsettled_seconds", "", "0x28 400x9"),
    ),
    "HookstreamHandoverFails": Case(
        one("hookstream_handover_failures_total", 'topic="t"', "0+1x60"),
        (
            one("hookstream_handover_failures_total", 'topic="t"', "9x60"),
            one("hookstream_handover_failures_total", 'topic="t"', "0x28 1x9"),
        ),
    ),
    "HookstreamLagGrows": Case(
        one("hookstream_consumer_lag", 'topic="t",partition="0"', "10000+100x60"),
        (
            one("hookstream_consumer_lag", 'topic="t",partition="0"', "50000x60"),
            one("hookstream_consumer_lag", 'topic="t",partition="0"', "0+100x60"),
            one("hookstream_consumer_lag", 'topic="t",partition="0"', "0x25 20000+100x60"),
        ),
    ),
    "HookstreamCircuitOpen": lasting(
        gauge("hookstream_circuit_open", 'hook="h"'),
        one("hookstream_circuit_open", 'hook="h"', "0x26 1x9"),
    ),
    "HookstreamEndpointFails": Case(
        {
            **one("hookstream_attempts_total", 'hook="h",status="2xx"', "0+7x60"),
            **one("hookstream_attempts_total", 'hook="h",status="5xx"', "0+3x60"),
        },
        (
            {
                **one("hookstream_attempts_total", 'hook="h",status="2xx"', "0+9x60"),
                **one("hookstream_attempts_total", 'hook="h",status="5xx"', "0+1x60"),
            },
            {
                **one("hookstream_attempts_total", 'hook="h",status="2xx"', "0+7x60"),
                **one("hookstream_attempts_total", 'hook="h",status="5xx"', "0x20 3+3x60"),
            },
        ),
    ),
    "HookstreamDeadLetters": Case(
        # A counter that starts at 1 is no rise to `increase`.
        one(DEAD, 'hook="h",reason="exhausted"', "_x25 1x60"),
        (
            one(DEAD, 'hook="h",reason="exhausted"', "1x60"),
            one(DEAD, 'hook="h",reason="too_large"', "0x25 1x60"),
            one(DEAD, 'hook="h",reason="hook_removed"', "0x25 1x60"),
        ),
    ),
    "HookstreamRecordTooLarge": counter(DEAD, 'hook="h",reason="too_large"'),
    "HookstreamHookRemoved": counter(DEAD, 'reason="hook_removed"'),
    "HookstreamHookUnknown": Case(
        one("hookstream_deliveries_total", 'outcome="retried"', "0+1x60"),
        (
            one("hookstream_deliveries_total", 'outcome="retried"', "0x28 1x60"),
            one("hookstream_deliveries_total", 'hook="h",outcome="retried"', "0+1x60"),
        ),
    ),
    "HookstreamUndecodable": Case(
        one("hookstream_events_total", 'trigger="event",result="undecodable"', "0x25 1x60"),
        (one("hookstream_events_total", 'trigger="event",result="matched"', "0+9x60"),),
    ),
    "HookstreamSlow": Case(
        {
            **one(LATENCY, 'hook="h",le="15.0"', "0+90x60"),
            **one(LATENCY, 'hook="h",le="90.0"', "0+100x60"),
            **one(LATENCY, 'hook="h",le="+Inf"', "0+100x60"),
        },
        (
            {
                **one(LATENCY, 'hook="h",le="15.0"', "0+100x60"),
                **one(LATENCY, 'hook="h",le="90.0"', "0+100x60"),
                **one(LATENCY, 'hook="h",le="+Inf"', "0+100x60"),
            },
            {
                **one(LATENCY, 'hook="h",le="15.0"', "0+100x20 2090+90x60"),
                **one(LATENCY, 'hook="h",le="90.0"', "0+100x60"),
                **one(LATENCY, 'hook="h",le="+Inf"', "0+100x60"),
            },
        ),
    ),
    "HookstreamReloadFailed": gauge(
        "hookstream_last_reload_successful", fires="0x60", quiet="1x60"
    ),
    "HookstreamHookProblems": lasting(
        gauge("hookstream_hook_problems", fires="2x60"),
        one("hookstream_hook_problems", "", "0x26 2x9"),
    ),
    "HookstreamNoHooks": gauge("hookstream_hooks", fires="0x60", quiet="3x60"),
    "HookstreamHooksBehind": Case(
        {
            f"hookstream_hooks_offset{{{ME}}}": "7x60",
            f"hookstream_hooks_offset{{{OTHER}}}": "9x60",
        },
        (
            {
                f"hookstream_hooks_offset{{{ME}}}": "9x60",
                f"hookstream_hooks_offset{{{OTHER}}}": "9x60",
            },
            {
                f"hookstream_hooks_offset{{{ME}}}": "7x60",
                f"hookstream_hooks_offset{{{OTHER}}}": "7x26 9x9",
            },
        ),
    ),
    "HookstreamBrokerUnreachable": lasting(
        gauge("hookstream_broker_unreachable_seconds", fires="0+60x60", quiet="60x60"),
        one("hookstream_broker_unreachable_seconds", "", "0x29 61x9"),
    ),
    "HookstreamOffsetsLost": counter("hookstream_offsets_lost_total", 'topic="t",partition="0"'),
    "HookstreamRebalanceStuck": gauge(
        "hookstream_rebalancing_seconds", fires="91x60", quiet="90x60"
    ),
    "HookstreamPartitionUnreadable": lasting(
        gauge("hookstream_partitions_unreadable", 'topic="t",partition="0"'),
        one("hookstream_partitions_unreadable", 'topic="t",partition="0"', "0x26 1x9"),
    ),
    "HookstreamSchemaAwaited": lasting(
        gauge("hookstream_partitions_awaiting_schema", 'topic="t",partition="0"'),
        one("hookstream_partitions_awaiting_schema", 'topic="t",partition="0"', "0x26 1x9"),
    ),
    "HookstreamPartitionWithoutLeader": lasting(
        gauge("hookstream_partitions_waiting"),
        one("hookstream_partitions_waiting", "", "0x26 1x9"),
    ),
    "HookstreamTopicMissing": gauge("hookstream_topic_missing", 'topic="t"'),
    "HookstreamTopicRemade": counter("hookstream_topics_remade_total", 'topic="t"'),
    "HookstreamTopicProblem": gauge("hookstream_topic_problems", 'topic="t"'),
    # promtool's time begins at the epoch: a week is 604,800 seconds.
    "HookstreamCertificateExpires": gauge(
        "hookstream_kafka_certificate_not_after_seconds", fires="600000x60", quiet="700000x60"
    ),
    "HookstreamHookDisabled": gauge("hookstream_hook_disabled", 'hook="h"'),
    "HookstreamPausedForLong": gauge(
        "hookstream_paused_until_timestamp_seconds", 'hook="h"', fires="9000x60", quiet="5000x60"
    ),
    "HookstreamConnectionsDie": Case(
        one("hookstream_connections_given_up_total", 'hook="h"', "0+1x120"),
        (one("hookstream_connections_given_up_total", 'hook="h"', "0x55 10x70"),),
        at="1h",
    ),
    "HookstreamSwitchedOffHookMissesEvents": Case(
        one("hookstream_disabled_matches_total", 'hook="h"', "0+1x1600"),
        (one("hookstream_disabled_matches_total", 'hook="h"', "0x100 0+1x1500"),),
        at="25h",
    ),
    "HookstreamForeignRecords": Case(
        one("hookstream_foreign_records_total", 'topic="t"', "0+3600x200"),
        (
            one("hookstream_foreign_records_total", 'topic="t"', "0+2400x200"),
            one("hookstream_foreign_records_total", 'topic="t"', "0x100 0+3600x200"),
        ),
        at="3h",
    ),
    "HookstreamDeliveryLogDropped": counter("hookstream_delivery_log_dropped_total"),
    "HookstreamLogLinesDropped": counter("hookstream_log_lines_dropped_total"),
    "HookstreamSpansDropped": counter("hookstream_spans_dropped_total"),
    "HookstreamTooFewReplicas": Case(
        {
            f"hookstream_wanted_replicas{{{ME}}}": "1.6x60",
            f"hookstream_wanted_replicas{{{OTHER}}}": "1.6x60",
        },
        (
            {
                f"hookstream_wanted_replicas{{{ME}}}": "2x60",
                f"hookstream_wanted_replicas{{{OTHER}}}": "1x60",
            },
            {f"hookstream_wanted_replicas{{{ME}}}": "1x20 4x40"},
        ),
        at="40m",
    ),
    "HookstreamRestarts": Case(
        one("process_start_time_seconds", "", "1x20 2x2 3x2 4x60"),
        (one("process_start_time_seconds", "", "1x20 2x2 3x60"),),
    ),
    "HookstreamPanelDown": Case(
        {PROBE: "1x10 0x50"},
        ({PROBE: "1x60"}, {PROBE: "1x28 0x9"}, {'probe_success{job="blackbox"}': "0x60"}),
    ),
    "HookstreamDescriptors": Case(
        {**one("process_open_fds", "", "90x60"), **one("process_max_fds", "", "100x60")},
        ({**one("process_open_fds", "", "80x60"), **one("process_max_fds", "", "100x60")},),
    ),
}
