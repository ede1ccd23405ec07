"""Webhook definitions: their form, their loading, and the immutable table they compile to."""
