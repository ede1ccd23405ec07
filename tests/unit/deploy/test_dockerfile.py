"""The image: small, without root, and with signals and health that reach the daemon."""

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
    """Exec form: no shell stands between a signal and the daemon (a shell would not pass it on).
    `env` becomes the daemon, and holds back what comes before Python can have a handler.
    """
    held_back = "--block-signal=TERM,INT,HUP"
    assert json.loads(_only(FINAL, "ENTRYPOINT")) == ["env", held_back, "hookstream"]
    assert json.loads(_only(FINAL, "CMD"))[0] == "run"
    assert _only(FINAL, "STOPSIGNAL") == "SIGTERM"


def test_it_does_not_run_as_root() -> None:
    """A number, so that Kubernetes' runAsNonRoot can see that it is not 0; after the last RUN."""
    user, group = _only(FINAL, "USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    keywords = [word for word, _ in FINAL]
    assert keywords.index("USER") > max(i for i, word in enumerate(keywords) if word == "RUN")


def test_its_health_is_checked_without_a_shell() -> None:
    """The check is the script that lies in the image."""
    options, command = _only(FINAL, "HEALTHCHECK").split(" CMD ")
    assert json.loads(command) == ["python", "/opt/hookstream/healthcheck.py"]
    assert "--timeout=3s" in options
    copied = [rest for word, rest in FINAL if word == "COPY"]
    assert "deploy/healthcheck.py /opt/hookstream/healthcheck.py" in copied


def test_build_tools_stay_behind() -> None:
    """The last stage installs nothing: it takes one finished environment from the first."""
    assert "--from=build /opt/hookstream /opt/hookstream" in [rest for _, rest in FINAL]
    assert not any("pip" in rest for word, rest in FINAL if word == "RUN")


def test_both_stages_have_the_same_python() -> None:
    """An environment works only with the Python that made it; what compiles stays behind."""
    assert f"{_only(BUILD, 'FROM').split()[0]}-slim" == _only(FINAL, "FROM")


def test_nothing_is_installed_without_a_hash() -> None:
    """Every install is from the hashed lock, or of our own wheel without its dependencies."""
    installs = [
        install
        for word, rest in BUILD
        if word == "RUN"
        for install in re.findall(r"pip install[^&]*", rest)
    ]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install


def test_everything_that_is_copied_is_let_into_the_build() -> None:
    """.dockerignore lets in what COPY names, and starts from nothing."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    sources = [
        source
        for stage in STAGES
        for word, rest in stage
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    for source in sources:
        assert (ROOT / source).exists()
        assert {f"!{source}", f"!{source.split('/')[0]}"}.intersection(rules)
