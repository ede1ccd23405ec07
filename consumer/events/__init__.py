"""Events: what a user's device did, decoded from one Kafka record each."""
