"""Metrics of the Kafka side: lag, age, failed publishing, topic problems."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.metrics_core import Metric

from consumer.exposition import counter, gauge, number


class StreamMetrics:
    """Counters kept here, and gauges read from their sources at each scrape."""

    def __init__(self) -> None:
        self._publish_failures: dict[str, int] = {}
        self._foreign_records: dict[str, int] = {}
        self._topic_problems: Mapping[str, bool] = {}
        self._in_flight: Callable[[], int] | None = None
        self._oldest_unsettled: Callable[[], float] | None = None
        self._broker_unreachable: Callable[[], float] | None = None
        self._certificate_not_after: Callable[[], float | None] | None = None
        self._lag: Callable[[], Mapping[tuple[str, int], int]] | None = None
        self._rebalancing: Callable[[], float] | None = None
        self._unreadable: Callable[[], Iterable[tuple[str, int]]] = tuple
        self._awaiting_schema: Callable[[], Iterable[tuple[str, int]]] = tuple
        self._waiting: Callable[[], int] | None = None
        self._wanted_replicas: Callable[[], float] | None = None
        self._lost: dict[tuple[str, int], int] = {}
        self._missing: dict[str, bool] = {}
        self._remade: dict[str, int] = {}

    def declare_topics(self, topics: Iterable[str]) -> None:
        """Start the failure counters of the retry and dead-letter topics at 0."""
        for topic in topics:
            self._publish_failures.setdefault(topic, 0)

    def publish_failed(self, topic: str) -> None:
        """Count a record for an own topic that the broker did not acknowledge."""
        self._publish_failures[topic] = self._publish_failures.get(topic, 0) + 1

    def declare_consumed_topics(self, topics: Iterable[str]) -> None:
        """Start the foreign record counters of consumed topics at 0."""
        for topic in topics:
            self._foreign_records.setdefault(topic, 0)

    def foreign_record(self, topic: str) -> None:
        """Count a record on a consumed topic that another group wrote for itself."""
        self._foreign_records[topic] = self._foreign_records.get(topic, 0) + 1

    def topic_problems(self, topics: Mapping[str, bool]) -> None:
        """Set whether each own topic is missing, or has settings that would lose records."""
        self._topic_problems = topics

    def set_in_flight_source(self, read: Callable[[], int]) -> None:
        """Read the number of attempts in flight with `read` at each scrape."""
        self._in_flight = read

    def set_oldest_unsettled_source(self, read: Callable[[], float]) -> None:
        """Read the age in seconds of the oldest unsettled event with `read` at each scrape."""
        self._oldest_unsettled = read

    def set_broker_unreachable_source(self, read: Callable[[], float]) -> None:
        """Read the seconds for which no broker has answered with `read` at each scrape."""
        self._broker_unreachable = read

    def set_certificate_not_after_source(self, read: Callable[[], float | None]) -> None:
        """Read the client certificate's expiry (epoch seconds or None) by `read` at each scrape."""
        self._certificate_not_after = read

    def set_lag_source(self, read: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        """Read the records behind the end, by (topic, partition), with `read` at each scrape."""
        self._lag = read

    def set_rebalancing_source(self, read: Callable[[], float]) -> None:
        """Read the seconds without a share of the partitions with `read` at each scrape."""
        self._rebalancing = read

    def set_unreadable_source(self, read: Callable[[], Iterable[tuple[str, int]]]) -> None:
        """Read the unreadable partitions (topic, number) with `read` at each scrape."""
        self._unreadable = read

    def set_awaiting_schema_source(self, read: Callable[[], Iterable[tuple[str, int]]]) -> None:
        """Read the partitions (topic, number) that wait for a schema with `read` at each scrape."""
        self._awaiting_schema = read

    def set_waiting_source(self, read: Callable[[], int]) -> None:
        """Read the number of partitions that no leader answers for with `read` at each scrape."""
        self._waiting = read

    def set_wanted_replicas_source(self, read: Callable[[], float]) -> None:
        """Read this replica's share of the wanted number of replicas with `read` at each scrape."""
        self._wanted_replicas = read

    def declare_configured_topics(
        self, sources: Iterable[str], retry_topics: Iterable[str]
    ) -> None:
        """Start the counters of the topics in the settings at 0."""
        for topic in sources:
            self._missing.setdefault(topic, False)
            self._remade.setdefault(topic, 0)
        for topic in retry_topics:
            self._remade.setdefault(topic, 0)

    def offsets_lost(self, topic: str, partition: int, records: int) -> None:
        """Count unread records that a partition has lost; 0 starts the series."""
        key = (topic, partition)
        self._lost[key] = self._lost.get(key, 0) + records

    def topic_missing(self, topic: str, *, missing: bool) -> None:
        """Set whether a source is missing."""
        self._missing[topic] = missing

    def topic_remade(self, topic: str) -> None:
        """Count a consumed topic that was deleted and recreated."""
        self._remade[topic] = self._remade.get(topic, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        if self._in_flight is not None:
            yield number("hookstream_in_flight", "HTTP requests under way.", self._in_flight())
        if self._oldest_unsettled is not None:
            yield number(
                "hookstream_oldest_unsettled_seconds",
                "Age of the oldest event that is not settled.",
                self._oldest_unsettled(),
            )
        if self._broker_unreachable is not None:
            yield number(
                "hookstream_broker_unreachable_seconds",
                "Time since a Kafka broker last answered; 0 while one does.",
                self._broker_unreachable(),
            )
        if self._certificate_not_after is not None:
            until = self._certificate_not_after()
            if until is not None:
                yield number(
                    "hookstream_kafka_certificate_not_after_seconds",
                    "Until when the client certificate for Kafka is valid, in epoch seconds.",
                    until,
                )
        if self._lag is not None:
            yield gauge(
                "hookstream_consumer_lag",
                "Records between the committed offset and the partition's end.",
                ("topic", "partition"),
                (((topic, str(partition)), lag) for (topic, partition), lag in self._lag().items()),
            )
        if self._rebalancing is not None:
            yield number(
                "hookstream_rebalancing_seconds",
                "Time without a valid share of the partitions; 0 with one.",
                self._rebalancing(),
            )
        yield gauge(
            "hookstream_partitions_unreadable",
            "1 for a partition that is blocked because its next record cannot be read.",
            ("topic", "partition"),
            (((topic, str(partition)), 1) for topic, partition in self._unreadable()),
        )
        yield gauge(
            "hookstream_partitions_awaiting_schema",
            "1 for a partition that is blocked until the schema of its next record is there.",
            ("topic", "partition"),
            (((topic, str(partition)), 1) for topic, partition in self._awaiting_schema()),
        )
        if self._waiting is not None:
            yield number(
                "hookstream_partitions_waiting",
                "Assigned partitions that are not read because no leader answers for them.",
                self._waiting(),
            )
        if self._wanted_replicas is not None:
            yield number(
                "hookstream_wanted_replicas",
                "This replica's share of the number of replicas that the work wants now.",
                self._wanted_replicas(),
            )
        yield counter(
            "hookstream_offsets_lost",
            "Records that retention or truncation deleted before they were read.",
            ("topic", "partition"),
            (((topic, str(part)), count) for (topic, part), count in self._lost.items()),
        )
        yield gauge(
            "hookstream_topic_missing",
            "1 if a source does not exist.",
            ("topic",),
            (((topic,), missing) for topic, missing in self._missing.items()),
        )
        yield counter(
            "hookstream_topics_remade",
            "Topics that were deleted and recreated while they were read.",
            ("topic",),
            (((topic,), count) for topic, count in self._remade.items()),
        )
        yield gauge(
            "hookstream_topic_problems",
            "1 if an own topic is missing, or has settings that would lose records.",
            ("topic",),
            (((topic,), problem) for topic, problem in self._topic_problems.items()),
        )
        yield counter(
            "hookstream_handover_failures",
            "Records for a retry or dead-letter topic that the broker did not acknowledge.",
            ("topic",),
            (((topic,), count) for topic, count in self._publish_failures.items()),
        )
        yield counter(
            "hookstream_foreign_records",
            "Records that another group wrote for itself; they are skipped.",
            ("topic",),
            (((topic,), count) for topic, count in self._foreign_records.items()),
        )
