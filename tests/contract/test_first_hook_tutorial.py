"""The tutorial of the first hook: its commands, as they stand on the page."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from support.project import ROOT

PAGE = (ROOT / "docs" / "tutorials" / "first-hook.md").read_text()


def test_the_commands_of_the_tutorial_lead_to_a_stored_delivery(tmp_path: Path) -> None:
    """The commands of the tutorial of the first hook, run one after the other in an empty folder,
    all succeed, and end with one delivery in the receiver's inbox and the output that is shown.
    """
    commands = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(commands) > 4
    shutil.copy(ROOT / "docs" / "receivers" / "receiver.py", tmp_path)
    programs = Path(sys.executable).parent  # hookstream's own environment, also for `python3`
    # The reader takes a while from one block to the next; the receiver listens by then.
    listens = "until grep -q listening receiver.log; do sleep 0.05; done\n"
    script = "set -eu\n" + "\n".join([commands[0], listens, *commands[1:]])
    output = tmp_path / "output.txt"
    with (
        output.open("w") as file,
        subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as tutorial,
    ):
        try:
            tutorial.wait(timeout=100)
        finally:
            os.killpg(tutorial.pid, signal.SIGKILL)  # the receiver goes on behind the commands
    said = output.read_text()
    assert tutorial.returncode == 0, said
    shown = re.search(r"^```console\n(request .*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    for line in shown[1].splitlines():
        if not line.startswith("time"):
            assert line in said
    [delivery] = (tmp_path / "inbox.tsv").read_text().splitlines()
    assert delivery.split("\t")[0] == "click-1:first"
