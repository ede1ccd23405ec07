"""The web panel and its API. It runs in a process of its own, and keeps no state."""
