"""Secrets that stand in a definition as they are are found, and hidden from readers."""

from typing import Any

import pytest

from consumer.control.difference import difference
from consumer.control.plain_secrets import (
    HIDDEN,
    plain_secrets,
    without_signing_secrets,
    without_signing_secrets_in,
)

PLAIN = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"
REFERENCES = ["${env:KEY}", "whsec_${file:/run/key}", "${sealed:abc}"]


@pytest.mark.parametrize(
    ("secrets", "shown"),
    [
        ([PLAIN, *REFERENCES], [HIDDEN, *REFERENCES]),
        ([f"{PLAIN}${{env:KEY}}"], [HIDDEN]),
        (PLAIN, HIDDEN),
        ([{"key": PLAIN}, [PLAIN], 7], [HIDDEN, [HIDDEN], HIDDEN]),
        ({"key": PLAIN}, HIDDEN),
        ([], []),
    ],
)
def test_readers_see_references_and_no_signing_secret(secrets: Any, shown: Any) -> None:
    """Whatever shape the signing secrets have, a reader gets references and nothing of a secret; a
    difference says that one has changed.
    """
    definition = {"id": "h", "signing_secrets": secrets}
    assert without_signing_secrets(definition) == {"id": "h", "signing_secrets": shown}
    for before, after in ((None, definition), (definition, None), (definition, {"id": "h"})):
        changes = without_signing_secrets_in(difference(before, after))
        assert PLAIN not in repr(changes)
        assert any(one.field.startswith("signing_secrets") for one in changes)
    assert without_signing_secrets({"id": "h", "signing_secrets": None})["signing_secrets"] is None


def test_a_changed_signing_secret_is_told_without_its_text() -> None:
    """Two secrets that both are hidden still differ."""
    before, after = {"signing_secrets": [PLAIN]}, {"signing_secrets": ["whsec_b3RoZXI="]}
    [change] = without_signing_secrets_in(difference(before, after))
    assert (change.before, change.after) == (f'["{HIDDEN}"]', f'["{HIDDEN}"]')


def test_what_looks_like_a_secret_in_plain_is_found() -> None:
    """A fixed value is one if its key sounds like a credential and it is no reference; so is every
    signing secret that is none.
    """
    definition = {
        "headers": [
            {"key": "Authorization", "source": "fixed", "value": "Bearer abc"},
            {"key": "Authorization", "source": "fixed", "value": "Bearer ${env:KEY}"},
            {"key": "X-Api-Key", "source": "profile", "value": "api_key"},
            {"key": "X-City", "source": "fixed", "value": "Ankara"},
            {"key": "x-api_key", "source": "fixed", "value": "abc"},
        ],
        "parameters": [{"key": "access_token", "source": "fixed", "value": "abc"}, "no entry"],
        "signing_secrets": [REFERENCES[0], PLAIN],
    }
    assert list(plain_secrets(definition)) == [
        "headers[0].value", "headers[4].value", "parameters[0].value", "signing_secrets[1]",
    ]  # fmt: skip
    assert list(plain_secrets({"headers": None, "signing_secrets": 7})) == []
