"""tests/README.md names what there is: each folder, and each harness or double that tests use."""

import ast
import re

from support.project import ROOT

TESTS = ROOT / "tests"
PAGE = (TESTS / "README.md").read_text()
SHOWN = re.compile(
    r"^(\w+Harness|Fake(Clock|Transport|Consumer|View|TopicLog)|\w*Daemon|\w*Receiver|InProcess"
    r"|LiveHooks|Workspace|Cluster|KafkaServer|Quorum|SecureBroker|Member|Forwarder|Terminal"
    r"|PrometheusServer)$"
)


def first_cells() -> set[str]:
    """The names in backticks in the first column of the page's tables."""
    cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_each_folder_is_named() -> None:
    """Every folder of tests/ is in the table of tests/README.md, and no other."""
    folders = {f"{path.name}/" for path in TESTS.iterdir() if any(path.glob("**/*.py"))}
    assert {name for name in first_cells() if name.endswith("/")} == folders


def test_each_harness_is_named() -> None:
    """Every harness and double of tests/support is in tests/README.md, and no other."""
    classes = {
        node.name
        for path in (TESTS / "support").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    named = {name for name in first_cells() if not name.endswith("/")}
    assert named <= classes
    assert {name for name in classes if SHOWN.match(name)} - {"LoadReceiver"} == named


def test_each_file_that_the_page_names_exists() -> None:
    """Every test file that tests/README.md names exists."""
    named = re.findall(r"`?(?:tests/)?((?:\w+/)+\w+\.py)", PAGE)
    assert named
    assert [name for name in named if not (TESTS / name).is_file()] == []
