"""Definitions in force without a cluster: files and records as a test writes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from consumer.configuration import Config
from consumer.definitions.in_force import CompiledRecords, DefinitionsInForce, PreparedReload
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import DefinitionFile, FileSource
from consumer.hooks.loading import load_definition
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook
from consumer.matching.store import Prepared
from consumer.settings import Settings
from support.fakes import FakeRecord

TOPIC = "hookstream.hooks"


def definition(hook_id: str, target: str = "/", **more: Any) -> dict[str, Any]:
    """A definition for every event."""
    return {"id": hook_id, "trigger": "event", "uri": f"https://a.example{target}", **more}


def naming_secret(name: str = "KEY") -> dict[str, Any]:
    """A part of a definition that names a secret of the environment."""
    return {"headers": [{"key": "X-Key", "source": "fixed", "value": f"${{env:{name}}}"}]}


class DefinitionsHarness:
    """The definitions of one daemon; every record has the next offset."""

    def __init__(self, *files: dict[str, Any], **environ: str) -> None:
        """`files`: definitions, each in a file of its own; `environ`: secrets."""
        self.environ = dict(environ)
        self._files: Mapping[str, dict[str, Any]] = {}
        self._source = FileSource.of_nothing()
        self.definitions = DefinitionsInForce(self._config(files))
        self._offset = 0

    @property
    def hooks(self) -> Mapping[str, Hook]:
        """The table in force."""
        return self.definitions.view.hooks

    @property
    def targets(self) -> dict[str, str]:
        """By hook, the target in force."""
        return {hook_id: str(hook.template_parts[0]) for hook_id, hook in self.hooks.items()}

    def record(self, key: str, value: object) -> FakeRecord:
        """The next record; a value that is not bytes is written as JSON."""
        raw = value if isinstance(value, bytes) else orjson.dumps(value)
        self._offset += 1
        return FakeRecord(
            raw if value is not None else None, TOPIC, offset=self._offset, key=key.encode()
        )

    def put(self, *definitions: dict[str, Any], revision: int = 1) -> FakeRecord:
        """Records of definitions, applied together; returns the last."""
        records = [
            self.record(one["id"], {"format": 1, "revision": revision, "definition": one})
            for one in definitions
        ]
        self.take(*records)
        return records[-1]

    def delete(self, hook_id: str) -> None:
        """The record of a deletion, applied."""
        self.take(self.record(hook_id, None))

    def take(self, *records: FakeRecord) -> Prepared:
        """Records, applied together."""
        ids = self.definitions.take(self.definitions.compile(records))
        return self.definitions.apply(self.definitions.prepare(ids), ids)

    def compile(self, *records: FakeRecord) -> CompiledRecords:
        """Records, not applied yet."""
        return self.definitions.compile(records)

    def prepare_reload(self, *files: dict[str, Any]) -> PreparedReload:
        """A reload of these files, not applied yet."""
        return self.definitions.prepare_reload(self._config(files))

    def reload(self, *files: dict[str, Any]) -> None:
        """A reload of these files and of all secrets."""
        self.definitions.reload(self.prepare_reload(*files))

    def _config(self, files: tuple[dict[str, Any], ...]) -> Config:
        """Files that are as before keep their hooks, as in a real reload."""
        before, self._files = self._files, {one["id"]: one for one in files}
        read: dict[str, DefinitionFile] = {}
        for name, one in self._files.items():
            known = self._source.files.get(name)
            if known is None or before[name] != one:
                hook = load_definition(one, self._context(), f"{name}.yaml")
                known = DefinitionFile(None, (hook,))
            read[name] = known
        hooks = {hook.id: hook for file in read.values() for hook in file.hooks}
        self._source = FileSource(read, MappingProxyType(hooks), {})
        return Config(Settings(), self._source, self._context)

    def _context(self) -> LoadContext:
        return LoadContext(SecretReader(self.environ.copy(), ["*"]))
