"""The daemon's view of live definitions: records of their topic in, the hooks that win out."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from consumer.control.compiled import Compiled, compile_record
from consumer.control.status import MAX_LISTED, HookProblem
from consumer.hooks.load_context import LoadContext
from consumer.hooks.source import Change, Delete, Upsert
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.records.record import Record

log = get_logger(__name__)

_MAX_LINES = 20
"""Log lines about problems of one batch: of 100,000 bad definitions the first tell enough."""


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """What a reload makes of the definitions; nothing of it is in force yet."""

    files: Mapping[str, Hook]
    compiled: Sequence[Compiled]
    """Live definitions that were compiled again."""
    secrets: Mapping[tuple[str, str], str]
    all_secrets: bool
    """Whether every secret of live definitions was read again."""
    ids: Collection[str]
    """The hooks that may differ."""
    changes: Sequence[Change]
    version: int


class LiveDefinitions:
    """The live definitions that can be used, beside those of the files, which win.

    A definition that is refused leaves the last good revision in force, and is a problem until
    another record of its hook comes or a reload makes it good. It belongs to the event loop's
    thread; only `plan_reload` runs in another one meanwhile.
    """

    def __init__(self, files: Mapping[str, Hook]) -> None:
        """`files`: the hooks of the files, by id."""
        self._files = files
        self._hooks: dict[str, Hook] = {}
        """The last good revision of each live definition."""
        self._revisions: dict[str, int] = {}
        """Their numbers."""
        self._refused: dict[str, str] = {}
        """By hook: why its newest record cannot be used."""
        self._lost: set[str] = set()
        """Hooks whose records went with their topic, and that have none in the new one."""
        self._hidden: set[str] = set()
        """Hooks that a file defines, too."""
        self._again: dict[str, Record] = {}
        """The records that a reload may read differently: they name secrets, or are refused."""
        self._secrets: dict[tuple[str, str], str] = {}
        self._version = 0
        self.offset = -1
        """The offset of the last record that is applied; -1: none."""

    def __len__(self) -> int:
        """The number of live definitions that can be used, hidden ones among them."""
        return len(self._hooks)

    def winner(self, hook_id: str) -> Hook | None:
        """The hook that is to be in force; None if there is none."""
        return self._files.get(hook_id) or self._hooks.get(hook_id)

    def changes(self, ids: Iterable[str], in_force: Mapping[str, Hook]) -> list[Change]:
        """What must change in the table `in_force` so that these hooks are the winners."""
        return list(_changes(ids, in_force, self.winner))

    def take(
        self, compiled: Sequence[Compiled], secrets: Mapping[tuple[str, str], str]
    ) -> set[str]:
        """Take the next records of the topic, in their order; returns the hooks that may differ.

        `secrets`: those that were read for them.
        """
        self._note_secrets(secrets)
        self._lost.difference_update(one.hook_id for one in compiled)
        ids = self._settle(compiled)
        if compiled:
            self.offset = compiled[-1].record.offset
        return ids

    def begin_anew(self) -> None:
        """The topic is read from its beginning: it was made anew, or has lost records. Hooks stay
        in force until it has other records of them: that it was deleted is more often an accident
        than the wish to call no endpoint.
        """
        self._version += 1
        self._lost = set(self._hooks)
        self.offset = -1

    def tell_lost(self) -> None:
        """Log which hooks a topic that is read anew does not have; call it at its end."""
        if self._lost:
            log.error(
                "the topic of the live definitions has lost records; their hooks stay in force "
                "until this process ends: apply their definitions again",
                number=len(self._lost),
                hooks=sorted(self._lost)[:_MAX_LINES],
            )

    # Reloads.

    def plan_reload(
        self,
        files: Mapping[str, Hook],
        changed: Iterable[str],
        context: LoadContext,
        in_force: Mapping[str, Hook],
    ) -> ReloadPlan:
        """What follows from new files and settings. `changed`: ids of hooks that the files define
        differently; `in_force`: the table at present. It changes nothing, and may run in another
        thread.
        """
        version, again = self._version, self._again.copy()
        same_secrets = context.still_reads(self._secrets.copy())
        refused = self._refused.copy()
        compiled = [
            compile_record(record, context)
            for hook_id, record in again.items()
            if not same_secrets or hook_id in refused
        ]
        fresh = {one.hook_id: one.hook for one in compiled if one.hook is not None}

        def winner(hook_id: str) -> Hook | None:
            return files.get(hook_id) or fresh.get(hook_id) or self._hooks.get(hook_id)

        ids = {*changed, *fresh}
        changes = list(_changes(ids, in_force, winner))
        return ReloadPlan(
            files, compiled, context.secrets.copy(), not same_secrets, ids, changes, version
        )

    def adopt(self, plan: ReloadPlan) -> bool:
        """Put a plan in use. Returns whether its changes still fit: no record came meanwhile."""
        fits = plan.version == self._version
        self._files = plan.files
        if fits and plan.all_secrets:
            self._secrets.clear()
        self._secrets.update(plan.secrets)
        current = [one for one in plan.compiled if self._again.get(one.hook_id) is one.record]
        self._settle(current)
        few, many = sorted((self._files, self._hooks), key=len)
        self._hide({hook_id for hook_id in few if hook_id in many})
        return fits

    # Problems.

    @property
    def problem_count(self) -> int:
        """The number of live definitions that are not in force as they were written."""
        return len(self._refused) + len((self._lost | self._hidden) - self._refused.keys())

    @property
    def problems(self) -> list[HookProblem]:
        """Some of these, for people."""
        others = (self._lost | self._hidden) - self._refused.keys()
        return [self.problem(i) for i in islice(chain(self._refused, others), MAX_LISTED)]

    def problem(self, hook_id: str) -> HookProblem:
        """Why a live definition is not in force as it was written."""
        revision = 0 if hook_id in self._files else self._revisions.get(hook_id, 0)
        if hook_id in self._refused:
            return HookProblem(hook_id, self._refused[hook_id], revision)
        if hook_id in self._lost:
            message = "its record was deleted with its topic (apply it again, or delete it)"
            return HookProblem(hook_id, message, revision)
        file = self._files[hook_id]
        message = (
            f"{file.file}:{file.line} defines it too, and a file's definition wins "
            "(take it out of the file, or delete the live one)"
        )
        return HookProblem(hook_id, message, revision)

    def _settle(self, compiled: Sequence[Compiled]) -> set[str]:
        self._version += 1
        before = self._refused.copy() if self._refused else {}
        ids = set()
        for one in compiled:
            ids.add(one.hook_id)
            self._settle_one(one)
        self._hide((self._hidden - ids) | {i for i in ids if i in self._files and i in self._hooks})
        self._tell(before, ids)
        return ids

    def _settle_one(self, one: Compiled) -> None:
        hook_id = one.hook_id
        self._refused.pop(hook_id, None)
        self._again.pop(hook_id, None)
        if one.problem:
            self._refused[hook_id] = one.problem
            self._again[hook_id] = one.record
        elif one.hook is None:
            self._hooks.pop(hook_id, None)
            self._revisions.pop(hook_id, None)
        else:
            self._hooks[hook_id] = one.hook
            self._revisions[hook_id] = one.revision
            if one.names_secrets:
                self._again[hook_id] = one.record

    def _note_secrets(self, secrets: Mapping[tuple[str, str], str]) -> None:
        """Remember what the secrets stood for. One that has changed since another definition read
        it is remembered as empty, as none is: then the next reload reads all of them again.
        """
        for name, text in secrets.items():
            if self._secrets.setdefault(name, text) != text:
                self._secrets[name] = ""

    def _hide(self, hidden: set[str]) -> None:
        new = sorted(hidden - self._hidden)
        self._hidden = hidden
        for hook_id in new[:_MAX_LINES]:
            problem = self.problem(hook_id)
            log.warning("a file's definition wins", hook=hook_id, problem=problem.message)

    def _tell(self, before: Mapping[str, str], ids: Collection[str]) -> None:
        new = [i for i in ids if i in self._refused and self._refused[i] != before.get(i)]
        for hook_id in new[:_MAX_LINES]:
            log.error(
                "a live definition is refused",
                hook=hook_id,
                problem=self._refused[hook_id],
                revision_in_force=self._revisions.get(hook_id, 0),
            )
        if len(new) > _MAX_LINES:
            log.error("more live definitions are refused", hooks=len(new) - _MAX_LINES)
        right = [hook_id for hook_id in ids if hook_id in before and hook_id not in self._refused]
        if right:
            log.info("live definitions are right again", hooks=right[:_MAX_LINES])


def _changes(
    ids: Iterable[str],
    in_force: Mapping[str, Hook],
    winner: Callable[[str], Hook | None],
) -> Iterator[Change]:
    for hook_id in ids:
        wanted = winner(hook_id)
        if wanted is not in_force.get(hook_id):
            yield Delete(hook_id) if wanted is None else Upsert(wanted)
