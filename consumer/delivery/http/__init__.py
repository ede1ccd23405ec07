"""HTTP: builds requests, resolves names, and sends requests over one of two transports."""
