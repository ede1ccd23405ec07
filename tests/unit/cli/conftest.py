"""Topics in memory and a folder, for the commands of live definitions."""

from pathlib import Path

import pytest

from support.command import write_config
from support.live_command import HOOKS
from support.live_topics import LiveTopicsHarness


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> LiveTopicsHarness:
    """Empty topics, which the commands use."""
    topics = LiveTopicsHarness()
    topics.install(monkeypatch)
    return topics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings, and one for definitions."""
    write_config(tmp_path, hooks=HOOKS)
    (tmp_path / "new").mkdir()
    return tmp_path
