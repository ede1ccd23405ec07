"""`${env:NAME}`, `${file:PATH}` and `${sealed:...}`: read at load if the settings allow it, never
shown.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from os.path import normpath
from pathlib import Path

from consumer.documents.files import files
from consumer.documents.reader import is_regular_file, unreadable
from consumer.errors import InvalidValue

ReadSecret = Callable[[str, str], str]
"""Kind (`env` or `file`) and name to the secret; raises `InvalidValue`, never with its text."""
Unseal = Callable[[str, str], str]
"""The body of `${sealed:...}` and the origin of its hook's URI to the secret; raises as
`ReadSecret` does."""

SEALED = "sealed"
_KINDS = frozenset({"env", "file", SEALED})

MAX_SECRET_BYTES = 64 * 1024
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)(?P<close>\}?)")
_OWN_PREFIX = "HOOKSTREAM_"
_PROCESSES = Path("/proc")


def has_reference(text: str) -> bool:
    """Whether `text` names a secret, or is meant to."""
    return "${" in text and any(match["body"] is not None for match in _REFERENCE.finditer(text))


def expand(text: str, read: ReadSecret) -> str:
    """`text` with every reference replaced by its secret, and `$${` by a literal `${`.

    Raises:
        InvalidValue: a reference is malformed, refused or leads nowhere.
    """

    def replace(match: re.Match[str]) -> str:
        if match["body"] is None:
            return "${"
        kind, _, name = match["body"].partition(":")
        if not match["close"] or kind not in _KINDS or not name:
            raise InvalidValue(
                "has ${ that begins no reference",
                "write ${env:NAME} or ${file:/PATH}, or $${ for the characters themselves",
            )
        return read(kind, name)

    return _REFERENCE.sub(replace, text)


class SecretReader:
    """Reads secrets from the environment and from files, within an allow-list.

    `allowed` holds environment names (`*` and `?` as in file names) and directories (those
    start with `/`); nothing else may be read. No list opens hookstream's own settings: a
    definition must not be able to send the Kafka password away. Those are the variables
    `HOOKSTREAM_...`, the files in `own`, and the system's `/proc`, which has the variables again.
    """

    def __init__(
        self, environ: Mapping[str, str], allowed: Sequence[str], own: Iterable[Path] = ()
    ) -> None:
        self._environ = environ
        self._own = tuple(own)
        self._names = tuple(entry for entry in allowed if not entry.startswith("/"))
        self._folders = tuple(Path(entry) for entry in allowed if entry.startswith("/"))

    def __call__(self, kind: str, name: str) -> str:
        """The secret's text, a file's trailing line end taken off.

        Raises:
            InvalidValue: it is not allowed, missing or empty; names it, never its value.
        """
        text = self._variable(name) if kind == "env" else self._file(name)
        if not text:
            raise InvalidValue(f"the secret {kind}:{name} is empty", "give it a value")
        return text

    def check(self, kind: str, name: str) -> None:
        """Check that a definition may name this secret, whether or not it is on this machine.

        Raises:
            InvalidValue: it is not allowed.
        """
        if kind == "env":
            self._check_variable(name)
        else:
            _check_absolute(name)
            written = Path(normpath(name))
            if not any(written.is_relative_to(folder) for folder in self._folders):
                raise _not_allowed(name, written.parent)

    def _check_variable(self, name: str) -> None:
        if name.startswith(_OWN_PREFIX):
            raise InvalidValue(
                f"the environment variable {name} is one of hookstream's own settings",
                "give the secret a name of its own",
            )
        if not any(fnmatchcase(name, one) for one in self._names):
            raise InvalidValue(
                f"the environment variable {name} is not allowed",
                f"add {name} to hooks.secrets in the settings",
            )

    def _variable(self, name: str) -> str:
        self._check_variable(name)
        if name not in self._environ:
            raise InvalidValue(
                f"the environment variable {name} is not set",
                "set it for the daemon, or correct the name",
            )
        if self._environ[name].endswith(("\n", "\r")):
            raise InvalidValue(
                f"the secret in the environment variable {name} ends with a line end",
                "take it out; if `echo` made it, `printf %s` makes none",
            )
        return self._environ[name]

    def _file(self, name: str) -> str:
        _check_absolute(name)
        # Judged and opened by its real path: neither `..` nor a link leads out of a folder,
        # and the links inside a Kubernetes mount stay inside it.
        read = files()
        try:
            real = Path(read.watch(name))
            real.stat()
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from None
        if real.is_relative_to(_PROCESSES) or str(real) in map(read.resolve, self._own):
            raise InvalidValue(
                f"the secret file {name} is the system's or one of hookstream's own",
                "keep the secret in a file of its own",
            )
        if not any(real.is_relative_to(read.resolve(folder)) for folder in self._folders):
            # As it was written, if that is enough: a mount's own folders change their names.
            written = Path(name).parent
            folder = written if real.is_relative_to(read.resolve(written)) else real.parent
            raise _not_allowed(name, folder)
        return _read(real, name)


def _check_absolute(name: str) -> None:
    if not name.startswith("/"):
        raise InvalidValue(f"the secret file {name} has a relative path", "start it with /")


def _not_allowed(name: str, folder: Path) -> InvalidValue:
    return InvalidValue(
        f"the secret file {name} is in no allowed directory",
        f"add {folder} to hooks.secrets in the settings",
    )


def _read(file: Path, name: str) -> str:
    # A pipe or a device would hold the load up, or never end.
    if not is_regular_file(file) or file.stat().st_size > MAX_SECRET_BYTES:
        raise InvalidValue(
            f"the secret file {name} is no regular file of at most {MAX_SECRET_BYTES:,} bytes",
            "name the file that holds the secret and nothing else",
        )
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InvalidValue(f"the secret file {name} is not UTF-8", "store it as text") from None
    except OSError as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: OSError | RuntimeError | ValueError) -> InvalidValue:
    return InvalidValue(
        f"the secret file {name} cannot be read: {unreadable(error).message}",
        "mount it for the daemon, or correct the path",
    )
