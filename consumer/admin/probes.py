"""What a probe finds."""

from typing import NamedTuple


class ProbeResult(NamedTuple):
    """The result of a probe."""

    ok: bool
    reason: str
    """Message: what is missing, or that all is well."""
