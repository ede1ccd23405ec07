"""Raises the limit of file descriptors at the start to what the settings may need.

Many systems start a process with a limit of 1,024 and allow far more. Once no descriptor is free,
every new connection fails, also to Kafka.
"""

import resource

from consumer.logs import get_logger

log = get_logger(__name__)

_LOOKUP_DESCRIPTORS = 2
"""Sockets of the C library for one lookup: to ask with, and to sort the addresses with."""
_OTHER_DESCRIPTORS = 512
"""Descriptors for brokers, files, admin clients, and connections of a replaced policy."""


def idle_connections(concurrency: int) -> int:
    """The number of connections that a transport keeps open for reuse. Each takes some 14 kB of
    memory, so those to hosts of former hooks must not pile up.
    """
    return 2 * concurrency


def descriptors_needed(concurrency: int) -> int:
    """The number of descriptors needed for `concurrency` requests in flight."""
    return (
        idle_connections(concurrency) + concurrency * (1 + _LOOKUP_DESCRIPTORS) + _OTHER_DESCRIPTORS
    )


def soft_limit(needed: int, soft: int, hard: int) -> int:
    """The soft limit to set: `needed`, at most `hard` and at least `soft`.

    -1 means no limit, as in the module `resource`.
    """
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    return needed if hard == resource.RLIM_INFINITY else min(needed, hard)


def provide_descriptors(concurrency: int) -> None:
    """Raise the process's soft limit to what is needed; warn if the hard limit is too low."""
    needed = descriptors_needed(concurrency)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft_limit(needed, soft, hard)
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted != resource.RLIM_INFINITY and wanted < needed:
        log.warning(
            "few file descriptors: connections may fail under load",
            limit=wanted,
            needed=needed,
            hint=f"raise the hard limit (ulimit -Hn, LimitNOFILE=) to {needed}, "
            "or lower delivery.concurrency",
        )
