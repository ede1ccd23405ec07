"""A Dockerfile as a list of instructions, and its first stage's COPY and RUN executed here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction: its keyword in capitals, and the rest with joined lines."""

    keyword: str
    rest: str


Stage = Sequence[Instruction]


class InstallError(Exception):
    """A RUN failed; carries what it printed."""


def stages(text: str) -> Sequence[Stage]:
    """The instructions of each stage, the FROM first. Comment lines are dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: list[list[Instruction]] = []
    for logical in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not logical.strip():
            continue
        keyword, rest = logical.split(maxsplit=1)
        if keyword.upper() == "FROM":
            found.append([])
        found[-1].append(Instruction(keyword.upper(), " ".join(rest.split())))
    return found


def make_context(root: Path, folder: Path) -> Path:
    """Copy to `folder` what `.dockerignore` lets into a build. The file denies all, then allows."""
    lines = (root / ".dockerignore").read_text().splitlines()
    denied, *rules = [line for line in lines if line and not line.startswith("#")]
    if denied != "*":
        raise ValueError(f".dockerignore begins with {denied}")
    for source in (rule[1:] for rule in rules if rule.startswith("!")):
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        _copy(root / source, folder / source, into=False)
    return folder


def carry_out(stage: Stage, context: Path, opt: Path, env: Mapping[str, str] = os.environ) -> None:
    """Execute a stage, with `context` for the build context and `opt` in place of `/opt`.

    Knows ARG, which `env` may answer, WORKDIR, COPY of files and folders of the context, and RUN;
    `python` is this one.

    Raises:
        InstallError: a RUN failed.
        ValueError: an instruction that this does not know.
    """
    here, env = opt, dict(env)
    for keyword, rest in stage:
        if keyword == "WORKDIR":
            here = Path(rest.replace("/opt", str(opt)))
            here.mkdir(parents=True, exist_ok=True)
        elif keyword == "ARG":
            name, _, default = rest.partition("=")
            env.setdefault(name, default)
        elif keyword == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(context / source, here / target, into=target.endswith("/"))
        elif keyword == "RUN":
            _run(rest.replace("/opt/", f"{opt}/"), here, env)
        elif keyword != "FROM":
            raise ValueError(f"{keyword} is not known here")


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        return
    if into:
        target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _run(command: str, here: Path, env: Mapping[str, str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=here,
        env={**env, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InstallError(f"{command}\n{done.stdout}")
