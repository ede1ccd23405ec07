"""The Dockerfile's own words, for what only an engine could prove: user, process 1, health, bases.

Built things prove the rest: `tests/integration/test_image_install.py` executes the build stage,
`tests/field/test_early_signals.py` runs the daemon behind the ENTRYPOINT as process 1, and
`test_healthcheck.py` runs the health check.
"""

import json
import re
from collections.abc import Sequence

from support.dockerfile import Instruction, stages
from support.project import ROOT

STAGES = stages((ROOT / "deploy/Dockerfile").read_text())
BUILD, FINAL = STAGES


def _only(stage: Sequence[Instruction], keyword: str) -> str:
    (rest,) = [rest for word, rest in stage if word == keyword]
    return rest


def test_the_daemon_is_process_one() -> None:
    """The ENTRYPOINT is in exec form, so that no shell stands between a signal and the daemon:
    `env` becomes the daemon, and blocks signals that come before Python can have a handler.
    """
    held_back = "--block-signal=TERM,INT,HUP"
    assert json.loads(_only(FINAL, "ENTRYPOINT")) == ["env", held_back, "hookstream"]
    assert json.loads(_only(FINAL, "CMD"))[0] == "run"
    assert _only(FINAL, "STOPSIGNAL") == "SIGTERM"


def test_it_does_not_run_as_root() -> None:
    """The USER is a number other than 0, as Kubernetes' runAsNonRoot wants it, and stands behind
    the last RUN.
    """
    user, group = _only(FINAL, "USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    keywords = [word for word, _ in FINAL]
    assert keywords.index("USER") > max(i for i, word in enumerate(keywords) if word == "RUN")


def test_its_health_is_checked_without_a_shell() -> None:
    """The health check runs the script that the image has, without a shell."""
    options, command = _only(FINAL, "HEALTHCHECK").split(" CMD ")
    assert json.loads(command) == ["python", "/opt/hookstream/healthcheck.py"]
    assert "--timeout=3s" in options
    copied = [rest for word, rest in FINAL if word == "COPY"]
    assert "deploy/healthcheck.py /opt/hookstream/healthcheck.py" in copied


def test_build_tools_stay_behind() -> None:
    """The last stage installs nothing: it copies one finished environment from the first."""
    assert "--from=build /opt/hookstream /opt/hookstream" in [rest for _, rest in FINAL]
    assert not any("pip" in rest for word, rest in FINAL if word == "RUN")


def test_both_stages_have_the_same_python() -> None:
    """Both stages have the same Python, without which a copied environment does not work."""
    assert f"{_only(BUILD, 'FROM').split()[0]}-slim" == _only(FINAL, "FROM")


def test_nothing_is_installed_without_a_hash() -> None:
    """Each install is from the hashed lock, or of our own wheel without its dependencies."""
    installs = [
        install
        for word, rest in BUILD
        if word == "RUN"
        for install in re.findall(r"pip install[^&]*", rest)
    ]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install
