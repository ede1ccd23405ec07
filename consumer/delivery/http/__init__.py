"""A request, and the two transports that send it."""
