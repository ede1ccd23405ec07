"""From a (event, hook) pair to an answer: requests, limits, retries, and the clients that dial."""
