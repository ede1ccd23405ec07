"""Searches the dead-letter topic backwards."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import orjson

from consumer.clock import Clock
from consumer.journal.log_search import (
    Horizon,
    Progress,
    SearchBounds,
    TopicSearch,
    search_topic,
)
from consumer.records.headers import read_group
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.backward_merge import Item
from consumer.stream.dead_letters import DeadLetterRecord, Selection, read_dead_letter

_DIGEST_BYTES: Final = 6


class DeadLetterSearch:
    """One search of the dead letters of this installation. It joins no group."""

    def __init__(self, settings: KafkaSettings, selection: Selection, clock: Clock) -> None:
        self.others: Counter[str] = Counter()
        """Dead letters of other groups that were passed over, by group."""
        self._settings = settings
        self._selection = selection
        self._clock = clock
        self._own = settings.group_id.encode()
        self._texts = [one.encode() for one in (selection.hook, selection.reason) if one]

    def steps(
        self, *, limit: int, cursor: str | None, bounds: SearchBounds
    ) -> AsyncGenerator[Item[DeadLetterRecord] | Progress | Horizon, None]:
        """Yield dead letters without their values and headers, newest first, `Progress` between,
        and one `Horizon` at the end. Raises as `search_topic`.
        """
        selection = self._selection
        parts = orjson.dumps((selection.hook, selection.reason))
        wanted = TopicSearch(
            self._settings.own_topics.dead_letter,
            blake2b(parts, digest_size=_DIGEST_BYTES).hexdigest(),
            self._take,
            self._may_match if self._texts else None,
            lambda: 0,  # `others` says which
            selection.since,
        )
        return search_topic(
            self._settings, wanted, self._clock, limit=limit, cursor=cursor, bounds=bounds
        )

    def _may_match(self, batch: bytes) -> bool:
        return all(text in batch for text in self._texts)

    def _take(self, record: Record) -> DeadLetterRecord | None:
        group = read_group(record.headers)
        if group is not None and group != self._own:
            self.others[group.decode(errors="backslashreplace")] += 1
            return None
        found = read_dead_letter(record)
        return replace(found, value=None, headers=()) if self._selection.matches(found) else None
