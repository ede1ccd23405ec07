"""Unknown schemas that are asked for again, since a registry that follows another may lag."""

from typing import Final

from consumer.events.formats.schemas import SchemaId

AGAIN_SECONDS: Final = (1.0, 3.0)
"""From an answer that a schema is unknown to the next question; after the last it is believed."""
MAX_DOUBTS: Final = 5
"""In `WINDOW_SECONDS`: a sender can make up as many ids as it likes, and each holds a partition."""
WINDOW_SECONDS: Final = 60.0


class Doubts:
    """Which unknown schemas are asked for again, and when."""

    def __init__(self) -> None:
        self._begun: list[float] = []
        self._again: dict[SchemaId, tuple[int, float]] = {}
        """How often each was unknown, and when it is asked for again."""

    def doubt(self, schema_id: SchemaId, now: float) -> bool:
        """Note that a schema is unknown at `now` (monotonic); whether it is asked for again."""
        times, _ = self._again.get(schema_id, (0, 0.0))
        if times == 0:
            self._begun = [at for at in self._begun if now - at < WINDOW_SECONDS]
            if len(self._begun) >= MAX_DOUBTS:
                return False
            self._begun.append(now)
        if times >= len(AGAIN_SECONDS):
            return False
        self._again[schema_id] = times + 1, now + AGAIN_SECONDS[times]
        return True

    def ask_at(self, schema_id: SchemaId) -> float:
        """When a schema may be asked for (monotonic); 0 if it is not in doubt."""
        return self._again.get(schema_id, (0, 0.0))[1]

    def settle(self, schema_id: SchemaId) -> None:
        """Forget a schema: it is here, or given up."""
        self._again.pop(schema_id, None)
