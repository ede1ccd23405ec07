"""Certificates for receivers."""

import ssl

import trustme


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's side of TLS, for this one name or address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context
