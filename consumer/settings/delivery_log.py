"""What is written to the delivery log. Durations are seconds, once read."""

from typing import Annotated

from pydantic import Field

from consumer.documents.durations import duration
from consumer.settings.fields import Password
from consumer.settings.section import Section


class DeliveryLogSettings(Section):
    """The delivery log `OwnTopics.deliveries`, and with it the reports `OwnTopics.reports`."""

    failures: bool = True
    """Whether all that is not a 2xx is logged: attempts, and ends without one."""
    successes: float = Field(default=0.01, ge=0.0, le=1.0)
    """The share of the 2xx that are logged."""
    retention: Annotated[float, duration("1h", "8760h")] = 604_800.0
    """How long a new topic keeps its records."""
    user_key: Password | None = None
    """The secret key of the users' hashes. None: it is made of the group's id and the prefix."""

    @property
    def is_on(self) -> bool:
        """Whether there are a log and reports."""
        return self.failures or self.successes > 0
