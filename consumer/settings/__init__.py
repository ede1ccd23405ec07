"""Settings: the only room that reads the environment and the settings file."""

from consumer.settings.load import DEFAULT_FILE, environment, load_hooks_settings, load_settings
from consumer.settings.model import (
    DEAD_LETTER_TOPIC,
    RETRY_TOPIC_PREFIX,
    TRIGGERS,
    AdminSettings,
    DeliverySettings,
    FieldPaths,
    HooksSettings,
    KafkaSettings,
    LogSettings,
    NetworkSettings,
    RateLimit,
    RetrySettings,
    Settings,
    SourceSettings,
    Trigger,
)

__all__ = [
    "DEAD_LETTER_TOPIC",
    "DEFAULT_FILE",
    "RETRY_TOPIC_PREFIX",
    "TRIGGERS",
    "AdminSettings",
    "DeliverySettings",
    "FieldPaths",
    "HooksSettings",
    "KafkaSettings",
    "LogSettings",
    "NetworkSettings",
    "RateLimit",
    "RetrySettings",
    "Settings",
    "SourceSettings",
    "Trigger",
    "environment",
    "load_hooks_settings",
    "load_settings",
]
