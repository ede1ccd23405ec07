"""Settings: the only package that reads the environment and the settings file."""

from consumer.settings.delivery_log import DeliveryLogSettings
from consumer.settings.load import DEFAULT_FILE, environment, load_hooks_settings, load_settings
from consumer.settings.model import (
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
    TracingSettings,
)
from consumer.settings.panel import ROLES, PanelSettings, PanelToken, RoleName
from consumer.settings.schema_registry import SchemaRegistrySettings
from consumer.settings.topics import OwnTopics

__all__ = [
    "DEFAULT_FILE",
    "ROLES",
    "AdminSettings",
    "DeliveryLogSettings",
    "DeliverySettings",
    "FieldPaths",
    "HooksSettings",
    "KafkaSettings",
    "LogSettings",
    "NetworkSettings",
    "OwnTopics",
    "PanelSettings",
    "PanelToken",
    "RateLimit",
    "RetrySettings",
    "RoleName",
    "SchemaRegistrySettings",
    "Settings",
    "SourceSettings",
    "TracingSettings",
    "environment",
    "load_hooks_settings",
    "load_settings",
]
