"""`hookstream` with libcurl on its event loop, in no thread: an experiment's other side."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # behind the compiled daemon, whose place is first

from benchmarks.curl_on_loop import CurlOnLoop
from consumer import app
from consumer.__main__ import main

app.CurlTransport = CurlOnLoop  # type: ignore[attr-defined, assignment]  # the seam is this experiment's

if __name__ == "__main__":
    main()
