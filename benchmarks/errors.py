"""The error of the benchmarks."""


class BenchmarkError(Exception):
    """A run has no result; the message says why."""
