"""The image's install steps, carried out without an engine."""

import subprocess
from pathlib import Path

import pytest

from consumer import __version__
from support.dockerfile import carry_out, stages
from support.project import ROOT


@pytest.mark.timeout(600)  # it installs everything anew
def test_the_build_stage_makes_a_working_environment(tmp_path: Path) -> None:
    """1. Carry out each COPY and RUN of the Dockerfile's first stage. 2. What it leaves for the
    image runs every part of hookstream, from the wheel and not from this folder.
    """
    opt = tmp_path / "opt"
    build, _ = stages((ROOT / "deploy/Dockerfile").read_text())
    carry_out(build, ROOT, opt)

    script = (
        "import consumer, aiohttp, aiokafka, confluent_kafka, cramjam, pycurl, uvloop;"
        "print(consumer.__version__, consumer.__file__)"
    )
    done = subprocess.run(
        [opt / "hookstream/bin/python", "-I", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    version, file = done.stdout.split()
    assert version == __version__
    assert Path(file).is_relative_to(opt / "hookstream")
    assert (opt / "hookstream/bin/hookstream").is_file()
