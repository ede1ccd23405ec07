"""`hookstream hooks history|show`: the revisions of one hook."""

from consumer.cli.console import print_note
from consumer.cli.hooks_show import print_definition, print_revision
from consumer.cli.hooks_topics import read_history, read_table
from consumer.cli.options import choose_id
from consumer.control.plain_secrets import shown_difference
from consumer.control.records import HookRecord
from consumer.settings import Settings


def show_history(settings: Settings, hook_id: str) -> None:
    """Print a hook's revisions, the oldest first. Raises `HookstreamError`."""
    history = read_history(settings.kafka, hook_id)
    if not history.changes:
        choose_id(read_table(settings.kafka).records, hook_id)
        print_note(f"the audit topic has no change of hook {hook_id}")
    for change in history.changes:
        print_revision(change, shown_difference(change.before, change.after))


def show_revision(settings: Settings, hook_id: str, revision: int | None) -> None:
    """Print a hook's newest definition, or that of a revision. Raises `HookstreamError`."""
    table = read_table(settings.kafka)
    live = [known for known in table.records if table.revision(known)]
    newest = table.records.get(hook_id)
    if revision is None or (newest is not None and revision == newest.revision):
        print_definition(table.records[choose_id(live, hook_id)])
        if (problem := table.unreadable.get(hook_id)) is not None:
            print_note(
                f"the record at offset {problem.offset}, which is newer, {problem.message} "
                f"({problem.hint})"
            )
        return
    history = read_history(settings.kafka, hook_id)
    definition = history.definition(revision)
    [change] = [change for change in history.changes if change.revision == revision][:1]
    print_definition(
        HookRecord(hook_id, revision, definition, change.at, change.by, change.comment)
    )
