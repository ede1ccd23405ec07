"""File descriptors: what the bounds may need is asked of the system at the start, not missed later.

Many systems begin a process with 1,024 and let it have far more. Without one more descriptor every
new connection fails, to Kafka too.
"""

import resource

from consumer.logs import get_logger

log = get_logger(__name__)

_LOOKUP = 2
"""A name that is looked up: what the C library asks with, and what it sorts the addresses by."""
_REST = 512
"""Brokers, files, admin clients, connections of a policy that a reload has just replaced."""


def idle_connections(concurrency: int) -> int:
    """How many connections a transport keeps open for reuse, with `concurrency` requests in
    flight. Each takes some 14 kB of memory, so those to hosts of former hooks must not pile up.
    """
    return 2 * concurrency


def descriptors_needed(concurrency: int) -> int:
    """How many there should be for `concurrency` requests in flight."""
    return idle_connections(concurrency) + concurrency * (1 + _LOOKUP) + _REST


def soft_limit(needed: int, soft: int, hard: int) -> int:
    """What the soft limit should be: `needed`, as far as `hard` allows, and never less than it is.

    -1 means no limit, as in the module `resource`.
    """
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    return needed if hard == resource.RLIM_INFINITY else min(needed, hard)


def provide_descriptors(concurrency: int) -> None:
    """Raise the process's soft limit to what is needed; say so where the hard one is too low."""
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
