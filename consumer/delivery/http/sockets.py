"""The sockets of new connections, for both transports."""

import socket

UNACKNOWLEDGED_LIMIT = 20.0
"""Seconds after which a connection ends if its peer acknowledges nothing of what it was sent, not
even a SYN. Without it the kernel goes on for a quarter of an hour."""


def open_socket(family: int, kind: int, protocol: int) -> socket.socket:
    """A TCP socket that notices a dead peer (TCP_USER_TIMEOUT, tcp(7), RFC 5482). Raises OSError:
    no descriptors are left, or the machine has no IPv6.
    """
    opened = socket.socket(family, kind, protocol)
    milliseconds = int(UNACKNOWLEDGED_LIMIT * 1000)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return opened
