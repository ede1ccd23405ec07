"""What the form of a hook, and its deletion, ask of the service."""

from collections.abc import Mapping
from typing import Any, Protocol

from consumer.hooks.table import Hook
from consumer.services.hooks import Changed, Who


class HookWrites(Protocol):
    """The writes; `HookService` has them. Each raises `HookstreamError`."""

    def check(self, definition: object) -> Hook:
        """The hook of a definition. Raises `ConfigError` with its problems."""
        ...

    async def create(self, definition: Mapping[str, Any], who: Who, *, dry_run: bool) -> Changed:
        """Create a hook."""
        ...

    async def change(
        self,
        hook_id: str,
        definition: Mapping[str, Any],
        seen: int | None,
        who: Who,
        *,
        dry_run: bool,
    ) -> Changed:
        """Change a hook of which revision `seen` was seen."""
        ...

    async def delete(self, hook_id: str, seen: int | None, who: Who, *, dry_run: bool) -> Changed:
        """Delete a hook of which revision `seen` was seen."""
        ...
