"""What tests, fault tests and benchmarks share."""
