"""Reports summed over replicas and hours; it is pure."""

import struct
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple, assert_never

from consumer.errors import ConfigError, Diagnostic
from consumer.journal.records import InstallationMark, NotARecord, ReportRecord, read_report
from consumer.records.record import Record

HOUR_SECONDS: Final = 3_600
DAY_SECONDS: Final = 86_400
PERCENTILES: Final = (0.5, 0.95, 0.99)
MAX_KEYS: Final = 500_000
"""Hooks, hours and lives of replicas of one question, of some 400 bytes each."""
_COUNT_BYTES: Final = 8
_KEY_PARTS: Final = 3
_CACHED_HOURS: Final = 1_024
_HOUR_FORMAT: Final = "%Y-%m-%dT%H"


class Step(StrEnum):
    """The length of a report's time, in UTC."""

    HOUR = "1h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        """Its length."""
        match self:
            case Step.HOUR:
                return HOUR_SECONDS
            case Step.DAY:
                return DAY_SECONDS
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports are wanted: counts are kept by hours, so a part of an hour counts as a whole
    one.
    """

    hook: str | None = None
    since: float | None = None
    """Epoch seconds."""
    until: float | None = None
    """Epoch seconds."""

    def wants(self, hook: str, start: float) -> bool:
        """Whether the hour that begins at `start` (epoch seconds) is wanted of a hook."""
        return (
            self.hook in {None, hook}
            and (self.since is None or start + HOUR_SECONDS > self.since)
            and (self.until is None or start < self.until)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The counts of one hook and step, of all replicas together."""

    hook: str
    start: float
    """Epoch seconds; a step begins at a full hour or day in UTC."""
    seconds: float
    """Of the step, as far as it has passed and was asked for: what rates are made with."""
    delivered: int
    retried: int
    overflowed: int
    dead_lettered: Mapping[str, int]
    """By reason."""
    attempts: Mapping[str, int]
    """By class of status or kind of error."""
    percentiles: Mapping[float, float]
    """Seconds of an attempt, by share (`PERCENTILES`); empty without attempts. Times count as even
    within their bucket, and what is longer than all buckets as the longest bound.
    """

    @property
    def attempt_count(self) -> int:
        """All attempts."""
        return sum(self.attempts.values())

    @property
    def success_share(self) -> float | None:
        """The share of the attempts that were answered with 2xx; None without attempts."""
        return self.attempts.get("2xx", 0) / self.attempt_count if self.attempt_count else None

    @property
    def attempts_per_second(self) -> float:
        """Attempts a second, on average."""
        return self.attempt_count / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class _Sums:
    delivered: int = 0
    retried: int = 0
    overflowed: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    latencies: dict[tuple[float, ...], list[int]] = field(default_factory=dict)
    """By the bounds of the buckets, which differ between versions."""

    def add(self, kept: "_Kept") -> None:
        counts = iter(kept.numbers())
        self.delivered += next(counts)
        self.retried += next(counts)
        self.overflowed += next(counts)
        for reason in kept.shape.reasons:
            self.dead_lettered[reason] += next(counts)
        for kind in kept.shape.kinds:
            self.attempts[kind] += next(counts)
        bounds = kept.shape.bounds
        latency = self.latencies.setdefault(bounds, [0] * (len(bounds) + 1))
        for index, count in enumerate(counts):
            latency[index] += count


class _Shape(NamedTuple):
    """What counts are of; many records have the same."""

    reasons: tuple[str, ...]
    kinds: tuple[str, ...]
    bounds: tuple[float, ...]


class _Kept(NamedTuple):
    """A record, in a fourth of its memory; its key has the rest."""

    shape: _Shape
    packed: bytes

    def numbers(self) -> Iterable[int]:
        """All counts, in the order of the record's fields."""
        return struct.unpack(f"<{len(self.packed) // _COUNT_BYTES}Q", self.packed)


class ReportTable:
    """The last record of each key, which holds all that its replica had counted by then."""

    def __init__(self, wanted: ReportFilter, group: str, max_keys: int = MAX_KEYS) -> None:
        """`group`: the `kafka.group_id` whose reports are summed."""
        self.passed_over = 0
        """Records of the topic that are no reports of the installation, of those that had to be
        looked at.
        """
        self._mark = InstallationMark(group)
        self._wanted = wanted
        self._prefix = f"{wanted.hook}|".encode() if wanted.hook is not None else b""
        """Of each wanted key."""
        self._max_keys = max_keys
        self._newest: dict[bytes, _Kept] = {}
        self._shapes: dict[_Shape, _Shape] = {}

    def take(self, record: Record) -> None:
        """Take the next record of the topic. Raises `ConfigError` if more are wanted than a process
        may keep.
        """
        key = record.key or b""
        if not key.startswith(self._prefix):
            return
        parts = key.decode(errors="replace").split("|", _KEY_PARTS - 1)
        start = _hour_start(parts[1]) if len(parts) == _KEY_PARTS else None
        if start is None:
            self.passed_over += 1
        elif self._wanted.wants(parts[0], start):
            self._put(key, record.value)

    def may_match(self, batch: bytes) -> bool:
        """Whether the bytes of a record batch may hold a wanted record."""
        return self._prefix in batch

    def reports(self, step: Step, now: float) -> list[Report]:
        """The sums by hook and step, in this order; `now`: epoch seconds."""
        sums: defaultdict[tuple[str, int], _Sums] = defaultdict(_Sums)
        for key, kept in self._newest.items():
            hook, hour, _ = key.decode().split("|", _KEY_PARTS - 1)
            start = _hour_start(hour) or 0
            sums[hook, start - start % step.seconds].add(kept)
        return [
            self._report(hook, start, one, step, now) for (hook, start), one in sorted(sums.items())
        ]

    def _put(self, key: bytes, value: bytes | None) -> None:
        self._newest.pop(key, None)
        if value is None:
            return
        found = read_report(value)
        if (
            isinstance(found, NotARecord)
            or not key.startswith(f"{found.hook}|{found.hour}|".encode())
            or self._mark.is_foreign(value)
        ):
            self.passed_over += 1
        elif len(self._newest) >= self._max_keys:
            raise ConfigError([_too_many(self._max_keys)])
        else:
            self._newest[key] = self._kept(found)

    def _kept(self, record: ReportRecord) -> _Kept:
        shape = _Shape(tuple(record.dead_lettered), tuple(record.attempts), tuple(record.bounds))
        numbers = (
            record.delivered,
            record.retried,
            record.overflowed,
            *record.dead_lettered.values(),
            *record.attempts.values(),
            *record.latency,
        )
        shape = self._shapes.setdefault(shape, shape)
        return _Kept(shape, struct.pack(f"<{len(numbers)}Q", *numbers))

    def _report(self, hook: str, start: int, sums: _Sums, step: Step, now: float) -> Report:
        since, until = self._wanted.since, self._wanted.until
        begin = start if since is None else max(start, since - since % HOUR_SECONDS)
        end = min(start + step.seconds, now)
        if until is not None:
            end = min(end, until + -until % HOUR_SECONDS)
        return Report(
            hook=hook,
            start=start,
            seconds=max(0.0, end - begin),
            delivered=sums.delivered,
            retried=sums.retried,
            overflowed=sums.overflowed,
            dead_lettered=dict(sums.dead_lettered),
            attempts=dict(sums.attempts),
            percentiles=percentiles(sums.latencies.items()),
        )


def percentiles(
    histograms: Iterable[tuple[Sequence[float], Sequence[int]]],
    shares: Sequence[float] = PERCENTILES,
) -> dict[float, float]:
    """For each share the seconds that this share of the observations did not exceed; empty if there
    are none. A histogram is its bounds and the counts of its buckets, the last one without a bound.
    """
    parts = [
        (bounds, list(accumulate(counts)))
        for bounds, counts in histograms
        if bounds and any(counts)
    ]
    total = sum(cumulative[-1] for _, cumulative in parts)
    if not total:
        return {}
    edges = sorted({0.0}.union(*(bounds for bounds, _ in parts)))
    below = [sum(_count_below(edge, *part) for part in parts) for edge in edges]
    return {share: _value_at(share * total, edges, below) for share in shares}


def _count_below(value: float, bounds: Sequence[float], cumulative: Sequence[int]) -> float:
    """Observations up to `value`, as if they were even within their bucket."""
    index = bisect_left(bounds, value)
    if index == len(bounds):
        return cumulative[-2]
    low, before = (bounds[index - 1], cumulative[index - 1]) if index else (0.0, 0)
    share = (value - low) / (bounds[index] - low) if bounds[index] > low else 1.0
    return before + share * (cumulative[index] - before)


def _value_at(rank: float, edges: Sequence[float], below: Sequence[float]) -> float:
    """The value below which `rank` observations are; the last edge if there are not so many."""
    index = bisect_left(below, rank)
    if index == 0 or index == len(edges):
        return edges[min(index, len(edges) - 1)]
    share = (rank - below[index - 1]) / (below[index] - below[index - 1])
    return edges[index - 1] + share * (edges[index] - edges[index - 1])


def _too_many(count: int) -> Diagnostic:
    return Diagnostic(
        f"there are more than {count:,} reports of these hooks, hours and replicas",
        "name a hook, or a shorter time",
        field="since",
    )


@lru_cache(_CACHED_HOURS)
def _hour_start(text: str) -> int | None:
    """Epoch seconds of `2026-11-29T10`; None if it is no hour."""
    try:
        return int(datetime.strptime(text, _HOUR_FORMAT).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None
