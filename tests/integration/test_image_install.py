"""The image's install steps, carried out without an engine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from consumer import __version__
from support.dockerfile import carry_out, stages
from support.project import ROOT


@pytest.mark.timeout(600)  # it installs everything anew
def test_the_build_stage_makes_a_working_environment(tmp_path: Path) -> None:
    """The image's install steps make an environment that runs every part of hookstream, compiled.

    1. Carry out each COPY and RUN of the Dockerfile's first stage. 2. What it leaves for the
    image runs every part of hookstream, from the wheel and not from this folder. 3. What runs for
    every event is compiled, if this machine has a C compiler as the stage's own image has.
    """
    opt = tmp_path / "opt"
    build, _ = stages((ROOT / "deploy/Dockerfile").read_text())
    can_compile = shutil.which("cc") is not None
    carry_out(build, ROOT, opt, os.environ if can_compile else {**os.environ, "COMPILED": "false"})

    script = (
        "import consumer, aiohttp, aiokafka, confluent_kafka, cramjam, pycurl, uvloop;"
        "import consumer.delivery.scheduling.scheduler as hot;"
        "print(consumer.__version__, consumer.__file__, hot.__file__)"
    )
    done = subprocess.run(
        [opt / "hookstream/bin/python", "-I", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    version, file, hot = done.stdout.split()
    assert version == __version__
    assert Path(file).is_relative_to(opt / "hookstream")
    assert hot.endswith(".so" if can_compile else ".py")
    assert (opt / "hookstream/bin/hookstream").is_file()
