"""The three dashboards: for the person on call, for a hook's owner, and for capacity."""

from typing import Final

from dashboards.parts import Board, Shown

_JOB: Final = 'job="$job"'
_HOOK: Final = 'job="$job",hook="$hook"'
_DURATION: Final = "hookstream_attempt_duration_seconds_bucket"
_LATENCY: Final = "hookstream_delivery_latency_seconds_bucket"


def _rate(metric: str, by: str, matchers: str = _JOB) -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str, matchers: str) -> str:
    return f"histogram_quantile({share}, {_rate(metric, by, matchers)})"


def _quantiles(metric: str) -> dict[str, str]:
    return {f"{share:.0%}": _quantile(share, metric, "le", _HOOK) for share in (0.5, 0.95, 0.99)}


ON_CALL: Final = Board(
    uid="hookstream-on-call",
    title="hookstream: on call",
    tells="Whether events are taken, delivered and written where they must be, and who fails.",
    rows={
        "Is it well?": [
            Shown("Replicas", "That answer scrapes.", {"": f"sum(up{{{_JOB}}})"}),
            Shown(
                "Firing alerts",
                "Of deploy/alerts.yml; the runbook has a section for each.",
                {
                    "": 'count(ALERTS{alertname=~"Hookstream.+",alertstate="firing"}) or vector(0)',
                },
            ),
            Shown(
                "Oldest unsettled event",
                "More than some minutes: an own topic does not take records.",
                {"": f"max(hookstream_oldest_unsettled_seconds{{{_JOB}}})"},
                "s",
            ),
            Shown(
                "Kafka away",
                "For how long a replica has had no answer from any broker.",
                {"": f"max(hookstream_broker_unreachable_seconds{{{_JOB}}})"},
                "s",
            ),
            Shown(
                "Rebalancing",
                "For how long a replica has been without its share.",
                {"": f"max(hookstream_rebalancing_seconds{{{_JOB}}})"},
                "s",
            ),
            Shown(
                "Open circuits",
                "Hooks whose deliveries wait without an attempt.",
                {"": f"sum(max by (hook) (hookstream_circuit_open{{{_JOB}}}))"},
            ),
        ],
        "Traffic": [
            Shown(
                "Events",
                "Taken from the sources, each second.",
                {"{{trigger}} {{result}}": _rate("hookstream_events_total", "trigger, result")},
                "cps",
            ),
            Shown(
                "Deliveries",
                "By what became of them. Deferred ones come back.",
                {"{{outcome}}": _rate("hookstream_deliveries_total", "outcome")},
                "cps",
            ),
            Shown(
                "Attempts",
                "Requests by their status or error.",
                {"{{status}}": _rate("hookstream_attempts_total", "status")},
                "cps",
            ),
            Shown(
                "Dead letters",
                "Given up, in an hour, by reason.",
                {
                    "{{reason}}": f"sum by (reason) (increase(hookstream_dead_letters_total"
                    f"{{{_JOB}}}[1h]))",
                },
            ),
        ],
        "What waits": [
            Shown(
                "Lag",
                "Unsettled records. Retry and overflow topics have lag on purpose.",
                {"{{topic}}": f"sum by (topic) (hookstream_consumer_lag{{{_JOB}}})"},
            ),
            Shown(
                "Oldest unsettled event",
                "By replica.",
                {"{{instance}}": f"hookstream_oldest_unsettled_seconds{{{_JOB}}}"},
                "s",
            ),
            Shown(
                "Records that Kafka did not take",
                "By own topic. Any at all pauses intake.",
                {"{{topic}}": _rate("hookstream_handover_failures_total", "topic")},
                "cps",
            ),
        ],
        "Receivers": [
            Shown(
                "Open circuits",
                "1 while the hook's deliveries wait in the overflow topic.",
                {"{{hook}}": f"max by (hook) (hookstream_circuit_open{{{_JOB}}}) > 0"},
            ),
            Shown(
                "Failing most",
                "Attempts without 2xx each second, ten hooks.",
                {
                    "{{hook}}": "topk(10, "
                    + _rate("hookstream_attempts_total", "hook", f'{_JOB},status!="2xx"')
                    + ")",
                },
                "cps",
            ),
            Shown(
                "Slowest",
                "From the event's time to the 2xx, one in a hundred takes longer; ten hooks.",
                {"{{hook}}": f"topk(10, {_quantile(0.99, _LATENCY, 'hook, le', _JOB)})"},
                "s",
            ),
        ],
    },
)

OWNER: Final = Board(
    uid="hookstream-hook",
    title="hookstream: a hook",
    tells="What the owner of one hook asks: does it arrive, how fast, and what was given up.",
    by_hook=True,
    rows={
        "Now": [
            Shown(
                "Circuit open",
                "1: the endpoint fails, and deliveries wait in the overflow topic.",
                {"": f"max(hookstream_circuit_open{{{_HOOK}}})"},
            ),
            Shown(
                "Disabled",
                "1: the receiver answered 410 five times in a row.",
                {"": f"max(hookstream_hook_disabled{{{_HOOK}}})"},
            ),
            Shown(
                "Pause left",
                "That the receiver asked for with Retry-After.",
                {
                    "": "clamp_min(max(hookstream_paused_until_timestamp_seconds"
                    f"{{{_HOOK}}}) - time(), 0)",
                },
                "s",
            ),
            Shown(
                "Learnt rate",
                "Requests a second that the receiver takes, of all replicas; 0: no limit is known.",
                {"": f"sum(hookstream_learned_rate{{{_HOOK}}})"},
                "reqps",
            ),
            Shown(
                "Answered 2xx",
                "Share of the attempts in the last hour.",
                {
                    "": f'sum(increase(hookstream_attempts_total{{{_HOOK},status="2xx"}}[1h]))'
                    f" / sum(increase(hookstream_attempts_total{{{_HOOK}}}[1h]))",
                },
                "percentunit",
            ),
        ],
        "Deliveries": [
            Shown(
                "Deliveries",
                "By what became of them; retried and overflowed ones come back.",
                {"{{outcome}}": _rate("hookstream_deliveries_total", "outcome", _HOOK)},
                "cps",
            ),
            Shown(
                "Attempts",
                "Requests by their status or error.",
                {"{{status}}": _rate("hookstream_attempts_total", "status", _HOOK)},
                "cps",
            ),
            Shown(
                "Dead letters",
                "Given up, in an hour, by reason; `hookstream dead-letters list` shows them.",
                {
                    "{{reason}}": f"sum by (reason) (increase(hookstream_dead_letters_total"
                    f"{{{_HOOK}}}[1h]))",
                },
            ),
        ],
        "Time": [
            Shown(
                "Answers",
                "Time of one request: so many of a hundred are faster.",
                _quantiles(_DURATION),
                "s",
            ),
            Shown(
                "From the event to the 2xx",
                "With lag, rate limits and retries.",
                _quantiles(_LATENCY),
                "s",
            ),
            Shown(
                "Connections given up",
                "In an hour: kept ones on which an attempt timed out.",
                {
                    "connections": "sum(increase(hookstream_connections_given_up_total"
                    f"{{{_HOOK}}}[1h]))",
                },
            ),
        ],
    },
)

CAPACITY: Final = Board(
    uid="hookstream-capacity",
    title="hookstream: capacity",
    tells="How many replicas the work wants, and what each one uses.",
    rows={
        "Replicas": [
            Shown(
                "Wanted and running",
                "The sum of the replicas' shares, and how many answer scrapes.",
                {
                    "wanted": f"sum(hookstream_wanted_replicas{{{_JOB}}})",
                    "running": f"sum(up{{{_JOB}}})",
                },
            ),
            Shown(
                "Shares",
                "What each replica wants: 1 is a replica that is as busy as it may be.",
                {"{{instance}}": f"hookstream_wanted_replicas{{{_JOB}}}"},
            ),
            Shown(
                "Starts",
                "In an hour; each is a rebalance.",
                {"{{instance}}": f"changes(process_start_time_seconds{{{_JOB}}}[1h])"},
            ),
        ],
        "Work": [
            Shown(
                "Events",
                "Taken from the sources, each second.",
                {"{{instance}}": _rate("hookstream_events_total", "instance")},
                "cps",
            ),
            Shown(
                "Attempts",
                "Requests, each second.",
                {"{{instance}}": _rate("hookstream_attempts_total", "instance")},
                "reqps",
            ),
            Shown(
                "Requests in flight",
                "`delivery.concurrency` bounds them.",
                {"{{instance}}": f"hookstream_in_flight{{{_JOB}}}"},
            ),
            Shown(
                "Lag",
                "Unsettled records. Retry and overflow topics have lag on purpose.",
                {"{{topic}}": f"sum by (topic) (hookstream_consumer_lag{{{_JOB}}})"},
            ),
        ],
        "Process": [
            Shown(
                "CPU",
                "Processors in use; one thread does the work, so 1 is all it can use.",
                {"{{instance}}": f"rate(process_cpu_seconds_total{{{_JOB}}}[$__rate_interval])"},
            ),
            Shown(
                "Memory",
                "Resident. It does not grow with what waits in Kafka.",
                {"{{instance}}": f"process_resident_memory_bytes{{{_JOB}}}"},
                "bytes",
            ),
            Shown(
                "File descriptors",
                "Share of those that the process may have.",
                {"{{instance}}": f"process_open_fds{{{_JOB}}} / process_max_fds{{{_JOB}}}"},
                "percentunit",
            ),
            Shown(
                "Dropped",
                "Records of the delivery log and lines of the log, each second.",
                {
                    "delivery log": _rate("hookstream_delivery_log_dropped_total", "job"),
                    "log lines": _rate("hookstream_log_lines_dropped_total", "job"),
                },
                "cps",
            ),
        ],
    },
)

BOARDS: Final = {"on-call": ON_CALL, "hook": OWNER, "capacity": CAPACITY}
"""By the name of the file in deploy/dashboards."""
