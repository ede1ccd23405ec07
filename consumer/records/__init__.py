"""Kafka records as every package sees them, and their acknowledgement."""
