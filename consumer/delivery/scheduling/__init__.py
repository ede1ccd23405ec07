"""Which delivery starts when, and what follows from its result."""
