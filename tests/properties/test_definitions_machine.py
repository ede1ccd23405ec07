"""Files, live changes and reloads in any order give the table of a naive model."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consumer.hooks.table import Hook
from support.definitions_harness import DefinitionsHarness, definition, naming_secret

IDS = st.sampled_from(["a", "b", "c", "d"])
KINDS = st.sampled_from(["plain", "secret", "bad", "deleted"])
FILES = st.dictionaries(IDS, st.integers(0, 2), max_size=3)


class DefinitionsMachine(RuleBasedStateMachine):
    """The model: what the files say, and of each live definition its newest record and the last
    good form of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.harness = DefinitionsHarness()
        self.files: dict[str, str] = {}
        self.newest: dict[str, tuple[str, str]] = {}
        """By hook: kind and target of the newest record."""
        self.good: dict[str, tuple[str, str]] = {}
        """By hook: target and secret of the live definition that can be used."""
        self.lost: set[str] = set()
        self.number = 0
        self.unread: set[str] = set()
        """Hooks whose secret was not there when it was read last."""

    @rule(changes=st.lists(st.tuples(IDS, KINDS), min_size=1, max_size=3))
    def write(self, changes: list[tuple[str, str]]) -> None:
        """Records come and are applied, in one batch."""
        records = []
        for hook_id, kind in changes:
            self.number += 1
            target = f"/live-{self.number}"
            records.append(self.harness.record(hook_id, self._value(hook_id, kind, target)))
            self.newest[hook_id] = (kind, target)
            self.lost.discard(hook_id)
            self._read_newest(hook_id)
        self.harness.take(*records)

    @rule(text=st.sampled_from(["1", "2", None]))
    def rotate_the_secret(self, text: str | None) -> None:
        """The secret has another text, or is gone."""
        self.harness.environ.clear()
        if text is not None:
            self.harness.environ["KEY"] = text

    @rule(files=FILES, between=st.lists(st.tuples(IDS, KINDS), max_size=2))
    def reload_files(self, files: dict[str, int], between: list[tuple[str, str]]) -> None:
        """A reload, with records that are applied while it reads."""
        reload = self.harness.prepare_reload(
            *(definition(hook_id, f"/file-{n}") for hook_id, n in files.items())
        )
        if between:
            self.write(between)
        self.harness.definitions.reload(reload)
        self.files = {hook_id: f"/file-{n}" for hook_id, n in files.items()}
        for hook_id, (kind, _) in self.newest.items():
            if kind == "secret":
                self._read_newest(hook_id)

    @rule()
    def begin_anew(self) -> None:
        """The topic is deleted and made again."""
        self.harness.definitions.live.begin_anew()
        self.lost = set(self.good)

    @invariant()
    def the_table_is_the_models(self) -> None:
        """A file's definition wins, else the last good live one is in force."""
        wanted = {
            **self.good,
            **{hook_id: (target, "") for hook_id, target in self.files.items()},
        }
        assert {hook_id: _form(hook) for hook_id, hook in self.harness.hooks.items()} == wanted

    @invariant()
    def the_problems_are_the_models(self) -> None:
        """What is not in force as it was written is a problem, and nothing else."""
        refused = {
            hook_id
            for hook_id, (kind, _) in self.newest.items()
            if kind == "bad" or hook_id in self.unread
        }
        problems = refused | self.lost | (self.good.keys() & self.files.keys())
        live = self.harness.definitions.live
        assert {problem.hook for problem in live.problems} == problems
        assert live.problem_count == len(problems)

    def _read_newest(self, hook_id: str) -> None:
        kind, target = self.newest[hook_id]
        self.unread.discard(hook_id)
        if kind == "plain":
            self.good[hook_id] = (target, "")
        elif kind == "deleted":
            self.good.pop(hook_id, None)
        elif kind == "secret":
            if "KEY" in self.harness.environ:
                self.good[hook_id] = (target, self.harness.environ["KEY"])
            else:
                self.unread.add(hook_id)

    @staticmethod
    def _value(hook_id: str, kind: str, target: str) -> Any:
        if kind == "deleted":
            return None
        if kind == "bad":
            return b"bad"
        more = naming_secret() if kind == "secret" else {}
        return {"format": 1, "revision": 1, "definition": definition(hook_id, target, **more)}


def _form(hook: Hook) -> tuple[str, str]:
    target = str(hook.template_parts[0])
    return target, hook.headers[0].value.text if hook.headers else ""


TestDefinitions = DefinitionsMachine.TestCase
