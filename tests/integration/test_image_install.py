"""The image's install steps, executed without an engine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from consumer import __version__
from support.dockerfile import carry_out, make_context, stages
from support.project import ROOT


@pytest.mark.timeout(600)  # it installs everything anew
def test_the_build_stage_makes_a_working_environment(tmp_path: Path) -> None:
    """The image's install steps make an environment that runs every part of hookstream, compiled.

    1. Execute each COPY and RUN of the Dockerfile's first stage on what `.dockerignore` lets into
    the build. 2. What it leaves for the image runs every part of hookstream, from the wheel and not
    from this folder. 3. What runs for every event is compiled, if this machine has a C compiler as
    the stage's own image has. 4. The environment holds the locked packages of the daemon and no
    build tool. 5. The health check is in the build, for the last stage to copy. 6. The wheel says
    that its package is typed (`py.typed`, PEP 561).
    """
    opt = tmp_path / "opt"
    build, _ = stages((ROOT / "deploy/Dockerfile").read_text())
    can_compile = shutil.which("cc") is not None
    context = make_context(ROOT, tmp_path / "context")
    how = {"CC": str(quick_compiler(tmp_path))} if can_compile else {"COMPILED": "false"}
    carry_out(build, context, opt, {**os.environ, **how})

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
    assert Path(file).with_name("py.typed").is_file()
    assert hot.endswith(".so" if can_compile else ".py")
    assert (opt / "hookstream/bin/hookstream").is_file()
    assert installed(opt / "hookstream/bin/python") <= {
        *locked(),
        "hookstream",
        "pip",
        "setuptools",
    }
    assert (context / "deploy/healthcheck.py").is_file()


def quick_compiler(folder: Path) -> Path:
    """A C compiler that does not optimise, in a third of the time: `make compiled` runs the tests
    on what is optimised.
    """
    compiler = folder / "cc"
    compiler.write_text('#!/bin/sh\nexec cc "$@" -O0\n')
    compiler.chmod(0o755)
    return compiler


def installed(python: Path) -> set[str]:
    """The names of the packages in an environment."""
    script = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=True)
    return {normal(name) for name in done.stdout.split()}


def locked() -> set[str]:
    """The names of the packages that the daemon's lock has."""
    lines = (ROOT / "requirements/runtime.txt").read_text().splitlines()
    return {normal(line.partition("==")[0]) for line in lines if "==" in line}


def normal(name: str) -> str:
    """A package's name in its one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
