"""What this replica says of itself in the topic of statuses."""

import platform
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from uuid import uuid4

from consumer import __version__
from consumer.clock import Clock
from consumer.control.status import MAX_LISTED, ReplicaStatus
from consumer.definitions.in_force import DefinitionsInForce
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.metrics import Metrics
from consumer.stream.intake import Intake

_MAX_HOST_CHARACTERS = 63


def new_replica_id() -> str:
    """An id of this process for people: another one for each call."""
    return f"{platform.node()[:_MAX_HOST_CHARACTERS]}-{uuid4().hex[:12]}"


def status_source(
    replica: str,
    *,
    definitions: DefinitionsInForce,
    intake: Intake,
    scheduler: Scheduler,
    metrics: Metrics,
    clock: Clock,
) -> Callable[[], ReplicaStatus]:
    """Returns a function that reads the status; `replica`: see `new_replica_id`."""
    started_at = _time(clock)

    def read() -> ReplicaStatus:
        live = definitions.live
        partitions, lag = defaultdict[str, list[int]](list), defaultdict[str, int](int)
        for topic, number in intake.partitions:
            partitions[topic].append(number)
        for (topic, _), records in intake.watch.lag().items():
            lag[topic] += records
        return ReplicaStatus(
            replica=replica,
            version=__version__,
            started_at=started_at,
            at=_time(clock),
            hooks=len(definitions.view.hooks),
            hooks_offset=live.offset,
            problem_count=live.problem_count,
            problems=live.problems,
            partitions=dict(partitions),
            lag=dict(lag),
            in_flight=scheduler.in_flight,
            open_circuits=list(islice(metrics.open_circuits(), MAX_LISTED)),
            learned_rates=dict(islice(metrics.learned_rates(), MAX_LISTED)),
            disabled_hooks=list(islice(metrics.disabled_hooks(), MAX_LISTED)),
        )

    return read


def _time(clock: Clock) -> str:
    now = datetime.fromtimestamp(clock.now(), UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
