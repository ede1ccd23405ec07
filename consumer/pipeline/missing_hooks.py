"""Hooks that this replica cannot send to, and how long their deliveries wait for one that can."""

from collections.abc import Iterable
from typing import Final

from consumer.records.order_lines import OrderLines
from consumer.stream.retry_topic import UNKNOWN_HOOK_SECONDS

_MAX_KNOWN_HOOKS: Final = 10_000
"""Hook ids in `_known_at` before the expired ones are removed."""


class MissingHooks:
    """Knows when hooks were disabled here, and when other replicas could send to them. All times
    are epoch seconds.
    """

    def __init__(self, lines: OrderLines) -> None:
        """`lines` tell of hooks that others know."""
        self._lines = lines
        self._disabled_since: dict[str, float] = {}
        """By hook id, when this replica learnt that the hook is disabled."""
        self._known_at: dict[str, float] = {}
        """By hook id, when another replica last knew a hook that is unknown here."""

    def use(self, disabled: Iterable[str], now: float) -> None:
        """Note which hooks are disabled `now`."""
        before = self._disabled_since
        self._disabled_since = {hook: before.get(hook, now) for hook in disabled}

    def is_disabled(self, hook: str) -> bool:
        """Whether a hook is disabled here."""
        return hook in self._disabled_since

    def was_disabled_at(self, hook: str, at: float) -> bool:
        """Whether a hook that is disabled was so `at` that time, as far as is known."""
        return at <= self._disabled_since.get(hook, at)

    def note_known(self, hook: str, at: float) -> None:
        """Note that a replica that knew `hook` deferred a delivery of it then.

        While that goes on, as during an hour of canary, none is given up.
        """
        self._known_at[hook] = max(at, self._known_at.get(hook, at))
        if len(self._known_at) > _MAX_KNOWN_HOOKS:
            old = at - UNKNOWN_HOOK_SECONDS
            self._known_at = {name: then for name, then in self._known_at.items() if then > old}

    def seconds_left(self, hook: str, since: float, now: float) -> float:
        """How much longer a delivery waits whose hook has been unknown or off `since` then."""
        # Of a line only the first record has its turn: those behind it tell by being there.
        known_at = max(self._known_at.get(hook, since), self._lines.known_at(hook))
        return max(since, known_at) + UNKNOWN_HOOK_SECONDS - now
