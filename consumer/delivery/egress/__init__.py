"""The SSRF guard: which addresses a request may go to."""
