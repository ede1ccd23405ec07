"""`hookstream hooks apply|delete|rollback`: shows what would change, asks, and writes."""

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

import typer

from consumer.cli.console import output, print_note
from consumer.cli.hooks_files import read_definitions
from consumer.cli.hooks_show import print_changes, print_plan
from consumer.cli.hooks_topics import read_history, read_table, write
from consumer.cli.options import choose_id
from consumer.control.plan import Plan, known, plan_apply, plan_change, plan_deletions
from consumer.services.checker import Checker
from consumer.services.file_hooks import ids_in_files
from consumer.settings import Settings

Consent = bool | None
"""True: write without a question; False: ask; None: write nothing."""


def author(by: str | None) -> str:
    """The name of who makes a change: the user's if no other is given."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have a number only
        return f"uid {os.getuid()}"


def apply_files(
    settings: Settings, path: Path, *, prune: bool, consent: Consent, by: str, comment: str
) -> None:
    """Make the live definitions those of a file or folder.

    Raises:
        HookstreamError: a definition is refused, or the changes were not written.
    """
    wanted = {hook_id: one.data for hook_id, one in read_definitions(path, settings).items()}
    table = read_table(settings.kafka)
    _carry_out(settings, plan_apply(table, wanted, prune=prune), consent, by=by, comment=comment)


def delete_hooks(
    settings: Settings, hook_ids: Sequence[str], *, consent: Consent, by: str, comment: str
) -> None:
    """Delete live definitions. Raises as `apply_files` does."""
    table = read_table(settings.kafka)
    chosen = [choose_id(known(table), hook_id) for hook_id in dict.fromkeys(hook_ids)]
    plan = Plan(tuple(plan_deletions(table, chosen)), 0)
    _carry_out(settings, plan, consent, by=by, comment=comment)


def roll_back(
    settings: Settings, hook_id: str, revision: int, *, consent: Consent, by: str, comment: str
) -> None:
    """Make an earlier revision of a hook its newest one. Raises as `apply_files` does."""
    table, history = read_table(settings.kafka), read_history(settings.kafka, hook_id)
    choose_id([*table.records, *(change.hook for change in history.changes)], hook_id)
    definition = history.definition(revision)
    Checker(settings).definition(definition, f"revision {revision}")
    change = plan_change(table, hook_id, definition, restore=True)
    plan = Plan((change,), 0) if change is not None else Plan((), 1)
    comment = comment or f"revision {revision} restored"
    _carry_out(settings, plan, consent, by=by, comment=comment)


def _carry_out(settings: Settings, plan: Plan, consent: Consent, *, by: str, comment: str) -> None:
    people = output().is_terminal
    if people:
        print_plan(plan)
    in_files = ids_in_files(settings)
    for change in plan.changes:
        if change.hook_id in in_files and change.after is not None:
            print_note(f"hook {change.hook_id} is also in {in_files[change.hook_id]}, which wins")
    if consent is None or not plan.changes:
        if not people:
            print_changes(plan.changes, {})
        print_note("nothing was written" if plan.changes else "nothing to change")
        return
    if not consent and not typer.confirm("Write this?"):
        print_note("nothing was written")
        raise typer.Exit(1)
    written = write(settings.kafka, plan.changes, by=by, comment=comment)
    if people:
        number = len(written)
        output().print(f"{number:,} change{'s' * (number != 1)} written, in one transaction")
    else:
        print_changes(plan.changes, {record.hook_id: record for record in written})
