"""From a record of the definitions' topic to a hook."""

from dataclasses import dataclass, replace

from consumer.control.records import HookRecord, read_hook_record
from consumer.errors import ConfigError, InvalidValue
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition
from consumer.hooks.table import Hook
from consumer.records.record import Record


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one record means to this process."""

    hook_id: str
    """Of a key that is no id: the key, so that problems can name it."""
    record: Record
    hook: Hook | None = None
    """None: it is deleted, or refused."""
    revision: int = 0
    problem: str = ""
    """Why it is refused, in sentences without secrets."""

    @property
    def names_secrets(self) -> bool:
        """Whether another load may read it differently."""
        return b"${" in (self.record.value or b"")


def compile_record(record: Record, context: LoadContext) -> Compiled:
    """The meaning of a record. It never raises: no record may stop the reading of others."""
    hook_id = (record.key or b"").decode(errors="backslashreplace")
    try:
        read = read_hook_record(record.key, record.value, record.headers)
        return _compile(read, record, context)
    except InvalidValue as invalid:
        if record.value is None:  # the deletion of something that never was a definition
            return Compiled(hook_id, record)
        problem = f"{_name(record)}: {invalid.message} ({invalid.hint})"
    except ConfigError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001  # a definition that the loader cannot take, too
        problem = f"{_name(record)}: not foreseen; please report it ({error.__class__.__name__})"
    return Compiled(hook_id, record, problem=problem)


def _compile(read: HookRecord, record: Record, context: LoadContext) -> Compiled:
    if read.definition is None:
        return Compiled(read.hook_id, record)
    hook = replace(load_definition(read.definition, context, _name(record)), revision=read.revision)
    return Compiled(read.hook_id, record, hook, read.revision)


def _name(record: Record) -> str:
    """What stands in place of a file and its line."""
    return f"{record.topic}@{record.offset}"
