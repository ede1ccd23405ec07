"""How live definitions and their changes are shown: text for people, JSON lines for programs."""

from collections.abc import Iterable, Mapping

from rich.text import Text

from consumer.cli.console import output, print_json
from consumer.control.difference import FieldChange, definition_yaml
from consumer.control.plain_secrets import without_signing_secrets
from consumer.control.plan import Plan, PlannedChange
from consumer.control.records import Action, AuditRecord, HookRecord
from consumer.logs import printable

MAX_SHOWN_VALUE = 100
"""Characters of a value in a difference on a terminal; a sealed secret has more."""
_STYLES = {
    Action.CREATED: ("+", "green"),
    Action.CHANGED: ("~", "yellow"),
    Action.DELETED: ("-", "red"),
    Action.RESTORED: ("<", "cyan"),
}


def print_plan(plan: Plan) -> None:
    """Print what would change, and its sum."""
    console = output()
    for change in plan.changes:
        sign, style = _STYLES[change.action]
        revision = f"  revision {change.seen}" if change.seen else ""
        console.print(
            Text(f"{sign} {printable(change.hook_id)}  {change.action}{revision}", f"bold {style}")
        )
        if change.action is not Action.DELETED:
            print_fields(change.fields, is_new=change.before is None)
    counts = [
        f"{number} {action}"
        for action in Action
        if (number := sum(change.action is action for change in plan.changes))
    ]
    if plan.unchanged:
        counts.append(f"{plan.unchanged} unchanged")
    console.print(", ".join(counts))


def print_fields(fields: Iterable[FieldChange], *, is_new: bool) -> None:
    """Print the fields that differ, one on a line. `is_new`: of a definition that was none."""
    console = output()
    for field in fields:
        line = Text(f"    {printable(field.field)}: ")
        if not is_new:
            line.append(_shortened(field.before), "red").append(" -> ")
        line.append(_shortened(field.after), "green")
        console.print(line, soft_wrap=True)


def print_changes(changes: Iterable[PlannedChange], written: Mapping[str, HookRecord]) -> None:
    """Print one JSON object for each change; with the new revision once it is written."""
    for change in changes:
        record = written.get(change.hook_id)
        print_json(
            {
                "hook": change.hook_id,
                "action": change.action,
                "seen": change.seen,
                "revision": record.revision if record is not None else None,
                "fields": _fields(change.fields),
            }
        )


def print_revision(change: AuditRecord, fields: list[FieldChange]) -> None:
    """Print one revision of a hook, with what it changed."""
    console = output()
    if not console.is_terminal:
        print_json(
            {
                "hook": change.hook,
                "revision": change.revision,
                "action": change.action,
                "at": change.at,
                "by": change.by,
                "comment": change.comment,
                "fields": _fields(fields),
            }
        )
        return
    head = f"revision {change.revision}  {change.action}  {change.at}  by {change.by}"
    console.print(Text(printable(head), f"bold {_STYLES[change.action][1]}"))
    if change.comment:
        console.print(Text(f"    {printable(change.comment)}", "italic"))
    if change.action is not Action.DELETED:
        print_fields(fields, is_new=change.before is None)


def print_definition(record: HookRecord) -> None:
    """Print one revision of a definition, without its signing secrets: YAML on a terminal."""
    console, shown = output(), without_signing_secrets(record.definition or {})
    if not console.is_terminal:
        print_json(
            {
                "hook": record.hook_id,
                "revision": record.revision,
                "at": record.at,
                "by": record.by,
                "comment": record.comment,
                "definition": shown,
            }
        )
        return
    head = f"# revision {record.revision}, {record.at}, by {record.by}"
    console.print(Text(printable(f"{head}: {record.comment}" if record.comment else head), "dim"))
    for line in definition_yaml(shown).splitlines():
        console.print(Text(printable(line)), soft_wrap=True)


def _fields(fields: Iterable[FieldChange]) -> list[dict[str, str | None]]:
    return [{"field": one.field, "before": one.before, "after": one.after} for one in fields]


def _shortened(value: str | None) -> str:
    text = printable(value) if value is not None else "nothing"
    return text if len(text) <= MAX_SHOWN_VALUE else f"{text[:MAX_SHOWN_VALUE]}…"
