"""The revisions of a hook, from the audit topic."""

from collections.abc import Mapping
from typing import Any

from consumer.control.records import AuditRecord, read_audit_record
from consumer.errors import HookstreamError, InvalidValue
from consumer.records.record import Record

_SHOWN = 10
"""Revisions that an error names."""


class History:
    """The changes of one hook, the oldest first, as far as the audit topic was read."""

    def __init__(self, hook_id: str) -> None:
        self.hook_id = hook_id
        self.changes: list[AuditRecord] = []

    def take(self, record: Record) -> None:
        """Take the next record of the topic; others' and unreadable ones are passed over."""
        if record.key != self.hook_id.encode():
            return
        try:
            self.changes.append(read_audit_record(record.value, record.headers))
        except InvalidValue:
            return  # of a newer version, or no record of hookstream

    def clear(self) -> None:
        """Forget everything: the topic is read from its beginning."""
        self.changes.clear()

    def definition(self, revision: int) -> Mapping[str, Any]:
        """The definition that a revision had.

        Raises:
            HookstreamError: the audit topic does not have it, or the revision is a deletion.
        """
        for change in self.changes:
            if change.revision == revision:
                if change.after is None:
                    raise HookstreamError(
                        f"revision {revision} of hook {self.hook_id} is its deletion: use "
                        f"`hookstream hooks delete {self.hook_id}` to delete it again"
                    )
                return change.after
        known = ", ".join(str(change.revision) for change in self.changes[-_SHOWN:]) or "none"
        raise HookstreamError(
            f"the audit topic has no revision {revision} of hook {self.hook_id}; newest there: "
            f"{known}"
        )
