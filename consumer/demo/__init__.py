"""The whole system on one machine: embedded broker, receiver, generated events, a live view."""
