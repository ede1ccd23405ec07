"""Opens the sockets of new connections for both transports."""

import socket

UNACKNOWLEDGED_TIMEOUT_SECONDS = 20.0
"""A connection ends after this time if its peer acknowledges nothing that it was sent, SYN
included. The kernel's own limit is a quarter of an hour."""


def open_socket(family: int, kind: int, protocol: int) -> socket.socket:
    """A TCP socket that detects a dead peer (TCP_USER_TIMEOUT, tcp(7), RFC 5482). Raises OSError if
    no descriptor is free or the machine lacks the address family.
    """
    opened = socket.socket(family, kind, protocol)
    milliseconds = int(UNACKNOWLEDGED_TIMEOUT_SECONDS * 1000)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return opened
