"""The fault tests' fixtures: a workspace on the shared broker, or on one that may be killed."""

from faults.conftest import mortal, server, workspace

__all__ = ["mortal", "server", "workspace"]
