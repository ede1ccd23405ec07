"""The Kafka side: consumes records, commits offsets, publishes retries and dead letters."""
