"""The definitions in force in a running daemon: from files, from their topic, and their changes."""
