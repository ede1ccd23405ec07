"""What a user's device did, as read from one Kafka record."""
