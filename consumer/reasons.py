"""The closed lists that several packages share, each in this one place.

People read them in docs/reference/records.md#reasons and docs/reference/metrics.md.

Each use that differs by member ends in `assert_never`: a forgotten one fails the type check.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a delivery is in the dead-letter topic; also the `reason` label of its metric."""

    UNDECODABLE = "undecodable"
    REJECTED = "rejected"
    PERMANENT = "permanent"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    DISABLED = "disabled"
    HOOK_REMOVED = "hook_removed"
    TOO_LARGE = "too_large"


class ErrorKind(StrEnum):
    """Why an attempt has no HTTP status; also `status` labels of the attempts' metric."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    DNS = "dns"
    TLS = "tls"
    BLOCKED = "blocked"
