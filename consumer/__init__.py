"""hookstream: turns a push platform's event stream into calls of other people's systems."""

__version__ = "1.0.0"
