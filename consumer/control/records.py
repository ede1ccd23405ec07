"""The records of the definitions' topic and of its audit topic (docs/reference/live.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from consumer.errors import InvalidValue
from consumer.records.headers import last_value
from consumer.records.record import Headers

FORMAT: Final = 1
MAX_RECORD_BYTES: Final = 900_000
"""Of one definition's record; its audit record holds two definitions and has twice as much."""
CHANGE_HEADER: Final = "hookstream-change"
"""Names the change that a record belongs to: after a commit without an answer the writer finds out
by it whether its change was made."""
REVISION_HEADER: Final = "hookstream-revision"
"""The revision of a deletion, whose value is null."""


class Action(StrEnum):
    """What a change did to a definition."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    RESTORED = "restored"


_MAX_DIGITS: Final = 18


Written = tuple[bytes, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers of a record."""


@dataclass(frozen=True, slots=True)
class HookRecord:
    """One revision of a definition."""

    hook_id: str
    revision: int
    definition: Mapping[str, Any] | None
    """As its author wrote it, unchecked, secrets as references or sealed; None: it was deleted."""
    at: str = ""
    """RFC 3339."""
    by: str = ""
    comment: str = ""
    change: str = ""

    def write(self) -> Written:
        """The record. Raises `InvalidValue` if it is too large."""
        key = self.hook_id.encode()
        headers = [(CHANGE_HEADER, self.change.encode())]
        if self.definition is None:
            return key, None, [*headers, (REVISION_HEADER, str(self.revision).encode())]
        value = orjson.dumps(
            {
                "format": FORMAT,
                "revision": self.revision,
                "definition": self.definition,
                "at": self.at,
                "by": self.by,
                "comment": self.comment,
            }
        )
        if len(value) > MAX_RECORD_BYTES:
            raise InvalidValue(
                f"takes {len(value):,} bytes, and a record may have {MAX_RECORD_BYTES:,}",
                "shorten the definition",
            )
        return key, value, headers


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what to which definition."""

    at: str
    by: str
    action: Action
    hook: str
    revision: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    comment: str
    change: str = ""

    def write(self) -> Written:
        """The record."""
        value = {
            "at": self.at,
            "by": self.by,
            "action": self.action,
            "hook": self.hook,
            "revision": self.revision,
            "before": self.before,
            "after": self.after,
            "comment": self.comment,
        }
        headers = [(CHANGE_HEADER, self.change.encode())]
        return self.hook.encode(), orjson.dumps(value), headers


def read_hook_record(key: bytes | None, value: bytes | None, headers: Headers) -> HookRecord:
    """One record of the definitions' topic.

    Raises:
        InvalidValue: it is none that this version understands.
    """
    hook_id = _text(key, "the key")
    change = (last_value(headers, CHANGE_HEADER) or b"").decode(errors="replace")
    if value is None:
        return HookRecord(hook_id, _deleted_revision(headers), None, change=change)
    fields = _object(value)
    if fields.get("format") != FORMAT:
        raise InvalidValue(
            f"its format is not {FORMAT}", "a newer hookstream wrote it: update this one"
        )
    definition, revision = fields.get("definition"), _number(fields, "revision")
    if not isinstance(definition, dict):
        raise InvalidValue("has no definition", "apply the definition again")
    if not revision:
        raise InvalidValue("has no revision", "apply the definition again")
    if definition.get("id") != hook_id:
        raise InvalidValue("its definition has another id than its key", "apply it again")
    return HookRecord(
        hook_id,
        revision,
        definition,
        at=_string(fields, "at"),
        by=_string(fields, "by"),
        comment=_string(fields, "comment"),
        change=change,
    )


def read_audit_record(value: bytes | None, headers: Headers) -> AuditRecord:
    """One record of the audit topic. Raises `InvalidValue`."""
    fields = _object(value or b"")
    try:
        action = Action(_string(fields, "action"))
    except ValueError:
        raise InvalidValue("has no action", "a newer hookstream wrote it") from None
    return AuditRecord(
        at=_string(fields, "at"),
        by=_string(fields, "by"),
        action=action,
        hook=_string(fields, "hook"),
        revision=_number(fields, "revision"),
        before=_definition(fields.get("before")),
        after=_definition(fields.get("after")),
        comment=_string(fields, "comment"),
        change=(last_value(headers, CHANGE_HEADER) or b"").decode(errors="replace"),
    )


def _text(raw: bytes | None, what: str) -> str:
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise InvalidValue(f"{what} is no hook id", "write definitions with `hookstream hooks`")
    return text


def _object(value: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise InvalidValue("is no JSON object", "write definitions with `hookstream hooks`")
    return fields


def _deleted_revision(headers: Headers) -> int:
    text = (last_value(headers, REVISION_HEADER) or b"").decode(errors="replace")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _definition(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _number(fields: Mapping[str, Any], name: str) -> int:
    """A number from 1 on; 0 if it is none."""
    value = fields.get(name)
    return value if type(value) is int and value > 0 else 0
