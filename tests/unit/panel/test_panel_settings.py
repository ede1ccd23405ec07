"""Who may reach the panel, by its settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.errors import ConfigError
from consumer.settings import Settings, load_settings

ENTRY = {"name": "ayse", "role": "editor", "sha256": "ab" * 32}


def _load(folder: Path, panel: dict[str, Any]) -> Settings:
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({"panel": panel}))
    return load_settings(file, {})


@pytest.mark.parametrize(
    ("panel", "by_link"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0", "tokens": [ENTRY]}, False),
        ({"host": "panel.internal", "trusted_proxies": ["10.0.0.7"]}, False),
    ],
)
def test_others_reach_the_panel_only_with_a_way_to_log_in(
    tmp_path: Path, panel: dict[str, Any], by_link: bool
) -> None:
    """A panel on loopback needs no token, and is then opened by a link; elsewhere it needs tokens
    or trusted proxies.
    """
    assert _load(tmp_path, panel).panel.is_open_by_link is by_link


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        ({"host": "0.0.0.0"}, "panel.host: lets others reach the panel"),
        ({"host": "::"}, "hookstream panel token NAME"),
        ({"host": "panel.internal"}, "panel.trusted_proxies"),
        ({"tokens": [{**ENTRY, "role": "root"}]}, "panel.tokens[0].role"),
        ({"tokens": [{**ENTRY, "sha256": "the token itself"}]}, "panel.tokens[0].sha256"),
        ({"tokens": [{**ENTRY, "name": "a b"}]}, "panel.tokens[0].name"),
        ({"tokens": [ENTRY, ENTRY]}, "panel.tokens[1].name: ayse has a token already"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, "panel.trusted_proxies[0]"),
        ({"trusted_proxies": ["proxy.internal"]}, "panel.trusted_proxies[0]"),
        ({"user_header": "X User"}, "panel.user_header"),
        ({"role_header": "x-forwarded-user"}, "panel.role_header: is also the user's header"),
    ],
)
def test_a_bad_setting_of_the_panel_is_refused(
    tmp_path: Path, panel: dict[str, Any], words: str
) -> None:
    """A setting that would let in anybody, or is a mistake, is refused with its field and a hint,
    and never repeated.
    """
    with pytest.raises(ConfigError) as refused:
        _load(tmp_path, panel)
    assert words in str(refused.value)
    assert "the token itself" not in str(refused.value)


def test_the_hash_of_a_token_is_never_shown(tmp_path: Path) -> None:
    """The hash of a token, with which sessions are signed, is in no form of the settings that a
    program might write: as text, as Python or as JSON.
    """
    settings = _load(tmp_path, {"tokens": [ENTRY]})
    for shown in (repr(settings), str(settings.panel), settings.model_dump_json()):
        assert "ayse" in shown
        assert ENTRY["sha256"] not in shown
    assert settings.panel.tokens[0].sha256.get_secret_value() == ENTRY["sha256"]
