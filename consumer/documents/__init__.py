"""Readers of what people write: YAML and JSON with lines, durations, host names; their problems."""
