"""What ends a benchmark."""


class BenchmarkError(Exception):
    """A run gave no figure; the text says why, for a person."""
