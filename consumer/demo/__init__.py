"""The demo: the whole system on one machine, with embedded broker, receivers and live view."""
