"""Trials of the installation in memory: the services' own, with receivers on this machine."""

from typing import Final

from consumer.hooks.load_context import LoadContext
from consumer.hooks.secrets import SecretReader
from consumer.services.hooks import HookService
from consumer.services.test_sends import TestSends
from consumer.services.trials import ServiceTrials
from consumer.settings import NetworkSettings
from support.fakes import FakeClock
from support.page_data import SETTINGS

SECRET: Final = "canary-of-a-key"
"""What `${env:ANALYTICS_KEY}` stands for."""
_LOOPBACK: Final = SETTINGS.model_copy(update={"network": NetworkSettings(allow=["127.0.0.1"])})


def page_trials(clock: FakeClock) -> ServiceTrials:
    """The trials of an installation; a test goes to loopback or is refused."""

    def new_context() -> LoadContext:
        return LoadContext(SecretReader({"ANALYTICS_KEY": SECRET}, SETTINGS.hooks.secrets))

    async def there() -> None:
        """Kafka answers."""

    tests = TestSends(_LOOPBACK, new_context, clock)
    return ServiceTrials(_LOOPBACK, HookService(_LOOPBACK, there, clock), tests, clock)
