"""A receiver of hookstream's requests: verifies each one, and stores it once.

    WEBHOOK_SECRETS="whsec_..." PORT=8080 INBOX=inbox.tsv python3 receiver.py

WEBHOOK_SECRETS holds one secret, or several with spaces between them while a secret is exchanged.
Each delivery becomes one line of the inbox: webhook-id, webhook-timestamp, request target. The rest
of your program works from there. Python 3.11 or later, standard library only.
"""

import base64
import hmac
import os
import re
import sys
import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLERANCE_SECONDS = 300
SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def decode_secret(text: str) -> bytes:
    """The key in a secret: base64, with or without `whsec_` in front."""
    return base64.b64decode(text.removeprefix("whsec_"), validate=True)


def why_invalid(keys: list[bytes], headers: Message, target: str, now: float) -> str:
    """Why a request is refused; empty if one of the keys has signed it within five minutes."""
    webhook_id, timestamp, signatures = (headers.get(name, "") for name in SIGNED_HEADERS)
    if not (webhook_id and timestamp and signatures):
        return "the request is not signed"
    if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return "the timestamp is not within five minutes of now"
    signed = f'{webhook_id}.{timestamp}."{target}"'.encode(
        "latin-1"
    )  # headers and target are bytes
    for key in keys:
        expected = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
        for given in signatures.split(" "):
            if hmac.compare_digest(expected, given.encode("latin-1")):
                return ""
    return "no signature fits"


class Inbox:
    """A file with one line for each delivery. In a database: a table whose primary key is the id.

    One process writes it. An id is known if and only if its line is complete, also after a crash.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab+", buffering=0)
        self._file.seek(0)
        lines, _newline, _torn = self._file.read().rpartition(b"\n")
        self._size = len(lines) + len(_newline)
        self._file.truncate(self._size)  # a crash may have left half a line
        self._ids = {line.split(b"\t")[0] for line in lines.splitlines()}
        self._lock = threading.Lock()

    def store(self, webhook_id: str, timestamp: str, target: str) -> None:
        """Write the delivery if it is new. Raises OSError if the disk does not take it."""
        key = webhook_id.encode("latin-1")
        with self._lock:
            if key in self._ids:
                return
            line = f"{webhook_id}\t{timestamp}\t{target}\n".encode("latin-1")
            try:
                self._append(line)
            except OSError:
                self._file.truncate(self._size)
                raise
            self._size += len(line)
            self._ids.add(key)

    def _append(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError("the disk is full")
        os.fsync(self._file.fileno())


class Handler(BaseHTTPRequestHandler):
    """Answers 204 if the delivery is in the inbox, 401 if it is refused, 500 to have it again."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    keys: list[bytes]
    inbox: Inbox

    def do_GET(self) -> None:
        """Verify and store one request."""
        target = self.requestline.split(" ")[1]  # self.path has lost a slash if it begins with two
        reason = why_invalid(self.keys, self.headers, target, time.time())
        if reason:
            return self._answer(401, reason)
        try:
            self.inbox.store(self.headers["webhook-id"], self.headers["webhook-timestamp"], target)
        except OSError as error:
            return self._answer(500, str(error))
        return self._answer(204, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        if text:  # a 204 has no body, hence no length
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main() -> None:
    """Serve until the process is ended."""
    Handler.keys = [decode_secret(text) for text in os.environ.get("WEBHOOK_SECRETS", "").split()]
    if not Handler.keys:
        sys.exit("receiver: WEBHOOK_SECRETS is empty; set it to the hook's signing secret")
    Handler.inbox = Inbox(Path(os.environ.get("INBOX", "inbox.tsv")))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
