"""The daemon asks the system for the file descriptors that its bounds need."""

import json
import resource
import subprocess
import sys
from pathlib import Path

from support.broker import free_port
from support.command import CLICK, write_config

HARD = 600
SHOW = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)"
RUN = f"import atexit; from consumer.__main__ import main; atexit.register(lambda: exec({SHOW!r}))"


def _run(folder: Path, limits: str) -> tuple[int, list[dict[str, object]]]:
    """A daemon that starts under `limits` (of `ulimit`) and finds no broker: its soft limit at the
    end, and its warnings.
    """
    plain = {"id": "plain", "trigger": "push_click", "uri": CLICK["uri"].partition("{")[0]}
    write_config(folder, plain, kafka={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    script = f"ulimit {limits} && exec {sys.executable} -c {json.dumps(RUN + '; main()')} run"
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
    return int(done.stdout), [line for line in lines if "descriptors" in line["event"]]


def test_the_soft_limit_is_raised(tmp_path: Path) -> None:
    """The daemon raises the soft limit of file descriptors to what 256 requests in flight need,
    without a log line.
    """
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1_792, "this test needs more itself"
    assert _run(tmp_path, f"-Sn {HARD}") == (1_792, [])


def test_a_hard_limit_that_is_too_low_is_told(tmp_path: Path) -> None:
    """A hard limit that is too low is one line with the numbers and a hint, and the daemon uses
    what there is.
    """
    soft, [warning] = _run(tmp_path, f"-n {HARD}")
    assert (soft, warning["limit"], warning["needed"]) == (HARD, HARD, 1_792)
    assert "LimitNOFILE=" in str(warning["hint"])
    assert "delivery.concurrency" in str(warning["hint"])
