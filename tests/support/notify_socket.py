"""systemd's end of the notification socket (sd_notify)."""

import socket
from collections.abc import Mapping


class Systemd:
    """The other end of the notification socket."""

    def __init__(self, address: str, variables: Mapping[str, str]) -> None:
        self.address = address
        self.environ = {"NOTIFY_SOCKET": address, **variables}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(address.replace("@", "\0", 1))

    def messages(self) -> list[str]:
        """What has arrived since the last call."""
        found = []
        try:
            while True:
                found.append(self.socket.recv(65_536).decode())
        except BlockingIOError:
            return found
