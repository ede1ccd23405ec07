"""Kafka: taking records in, settling them, and handing over what could not be delivered."""
