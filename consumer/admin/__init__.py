"""The admin server: liveness, readiness and metrics."""

from consumer.admin.admin import Admin, host_port
from consumer.admin.probes import ProbeResult

__all__ = ["Admin", "ProbeResult", "host_port"]
