"""The image's health check: exit 0 where the daemon says that it is alive, 1 where not.

By http.client, which knows no proxies: `urllib` would send this to the environment's.
"""

import http.client
import os
import sys


def alive(port: int, timeout: float = 2.0) -> bool:
    """Whether loopback's `port` answers `/healthz` with 200 within `timeout` seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not alive(int(os.environ.get("HOOKSTREAM_ADMIN__PORT", "9464"))))
