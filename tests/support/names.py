"""DNS of a daemon under test: its process asks a file instead of the C library."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATCH = """
import json, pathlib, socket

_names = pathlib.Path({names!r})
_lookup = socket.getaddrinfo

def getaddrinfo(host, port, *rest, **more):
    found = json.loads(_names.read_text()).get(host, [host])
    return [answer for each in found for answer in _lookup(each, port, *rest, **more)]

socket.getaddrinfo = getaddrinfo
"""


class Names:
    """The addresses of host names, which may change while the daemon runs.

    Python runs `sitecustomize` at its start, before anything of the daemon's.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: an empty one, for the files."""
        self._file = folder / "names.json"
        (folder / "sitecustomize.py").write_text(_PATCH.format(names=str(self._file)))
        self.environ = {"PYTHONPATH": str(folder)}
        """For `Daemon`."""
        self.lead({})

    def lead(self, names: Mapping[str, Sequence[str]]) -> None:
        """Give `names` these addresses from now on; all others have those of the system."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(names))
        fresh.replace(self._file)
