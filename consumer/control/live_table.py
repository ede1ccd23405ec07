"""What the definitions' topic says, as far as it was read: the newest record of each hook."""

from dataclasses import dataclass

from consumer.control.records import HookRecord, read_hook_record
from consumer.errors import InvalidValue
from consumer.records.record import Record


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that is none: the hook of its key keeps its last good revision."""

    hook_id: str
    offset: int
    message: str
    hint: str


Entry = HookRecord | UnreadableRecord


class LiveTable:
    """The newest readable record of each hook, deletions included, and what was unreadable since.

    It holds what was written, not what it means: `LiveDefinitions` makes hooks of it.
    """

    def __init__(self) -> None:
        self.records: dict[str, HookRecord] = {}
        """By hook; a deletion stays, for the revision that the next one of its hook gets."""
        self.unreadable: dict[str, UnreadableRecord] = {}
        """By hook (or key, as far as it is text): the newest record, if it is unreadable."""
        self.next_offset = 0
        """The offset after the last record taken."""

    def take(self, record: Record) -> Entry:
        """Take the next record of the topic; returns what it says."""
        self.next_offset = record.offset + 1
        try:
            read = read_hook_record(record.key, record.value, record.headers)
        except InvalidValue as invalid:
            hook_id = (record.key or b"").decode(errors="backslashreplace")
            found = UnreadableRecord(hook_id, record.offset, invalid.message, invalid.hint)
            self.unreadable[hook_id] = found
            return found
        self.unreadable.pop(read.hook_id, None)
        self.records[read.hook_id] = read
        return read

    def clear(self) -> None:
        """Forget everything: the topic was made anew, or is read from its beginning."""
        self.records.clear()
        self.unreadable.clear()
        self.next_offset = 0

    def copy(self) -> "LiveTable":
        """A table with the same records, which later records do not change."""
        other = LiveTable()
        other.records, other.unreadable = self.records.copy(), self.unreadable.copy()
        other.next_offset = self.next_offset
        return other

    def revision(self, hook_id: str) -> int:
        """The revision of a hook that is defined; 0 if it is not."""
        record = self.records.get(hook_id)
        return record.revision if record is not None and record.definition is not None else 0

    def next_revision(self, hook_id: str) -> int:
        """The revision that the next change of a hook gets: also after a deletion it goes on, so
        that whoever saw an earlier definition of that id does not overwrite this one.
        """
        record = self.records.get(hook_id)
        return record.revision + 1 if record is not None else 1
