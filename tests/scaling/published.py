"""The comparison of scalers that docs/operations.md publishes."""

from collections.abc import Mapping
from typing import Final

from scaling.load import DAY_SECONDS, Days
from scaling.model import Installation, Tally
from scaling.scalers import Metric, by_group_lag, by_source_lag, wanted_replicas

SEED: Final = 1
DAYS: Final = 3
SCALERS: Final[Mapping[str, Metric]] = {
    "`hookstream_wanted_replicas`": wanted_replicas,
    "KEDA by the group's lag": by_group_lag,
    "KEDA by the source topics' lag": by_source_lag,
}

_HEAD = """\
| scaled by | replicas on average | at most | changes | taken back within 10 minutes | longest \
wait of an event |
|---|---|---|---|---|---|
"""


def compare() -> dict[str, Tally]:
    """What each scaler makes of the same days."""
    return {name: Installation(Days(SEED, DAYS), metric).run() for name, metric in SCALERS.items()}


def table(tallies: Mapping[str, Tally]) -> str:
    """The comparison in Markdown."""
    rows = (
        f"| {name} | {tally.replica_seconds / DAYS / DAY_SECONDS:.1f} | {tally.most} "
        f"| {tally.changes:,} | {tally.flaps:,} | {tally.worst_wait:.0f} s |\n"
        for name, tally in tallies.items()
    )
    return _HEAD + "".join(rows)
