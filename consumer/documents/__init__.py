"""What people write: YAML and JSON with line numbers, durations, host names, and their problems."""
