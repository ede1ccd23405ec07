"""`hookstream demo` as a person runs it, without a terminal."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from consumer.configuration import load
from consumer.demo.receiver import BEHAVIOURS
from consumer.demo.run import write_files
from consumer.events.triggers import TRIGGERS
from support.command import run_command


def _delivered(output: str) -> dict[str, int]:
    """Hook to its deliveries, from the summary's table."""
    table = output.partition("summary\n")[2].partition("p50, p99")[0]
    rows = re.findall(r"^ ?([a-z-]+) .*?  +(-|[\d,]+) ", table, re.MULTILINE)
    return {hook: int(count.replace(",", "")) for hook, count in rows if count != "-"}


def test_the_demo_runs_by_itself(tmp_path: Path) -> None:
    """The demo delivers events of all four triggers, slow and failing endpoints hold back no other,
    a hook appears and changes meanwhile, and it ends by itself with a summary and nothing on
    standard error.
    """
    done = run_command("demo", "--seconds", "6", "--rate", "100", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (events,) = re.findall(r"^events +([\d,]+) \((.*)\)", done.stdout, re.MULTILINE)
    assert int(events[0].replace(",", "")) == 600
    delivered = _delivered(done.stdout)
    file = write_files(tmp_path, "127.0.0.1:1", dict.fromkeys(BEHAVIOURS, 1))
    hooks = load(file, environ={}).definitions.hooks
    assert delivered.pop("app-opens") > 0, "it is defined while the demo runs"
    for revision in (1, 2):
        assert f"live hook app-opens, revision {revision}: saved and in force" in done.stdout
    assert {hooks[hook].trigger for hook in delivered} == set(TRIGGERS)
    assert delivered["click-analytics"] > 50
    assert "legacy-loyalty" not in delivered, "its endpoint is down"
    assert re.search(r"^dead letters +\d+ \(rejected \d+", done.stdout, re.MULTILINE)
    assert "what to look at next" in done.stdout


def test_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    """SIGINT ends the demo with the summary so far and exit code 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "consumer", "demo", "--seconds", "60"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "events arrive: events 1" in line:
                break
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=45)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")
    assert "summary" in output
