"""The delivery log and the reports: what was sent, when, and what followed."""
