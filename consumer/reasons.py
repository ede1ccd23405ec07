"""Closed lists that several packages share; metrics and filters follow by themselves.

docs/reference/records.md#reasons and docs/reference/metrics.md explain the members; a test compares
the pages. Where a reason is decided: ARCHITECTURE.md, "Where a change belongs".
"""

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a dead letter, also the `reason` label of its metric."""

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
    """The error of an attempt without an HTTP status, also a `status` label of its metric."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    DNS = "dns"
    TLS = "tls"
    BLOCKED = "blocked"
