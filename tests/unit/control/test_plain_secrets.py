"""Secrets that stand in a definition as they are are found, and hidden from readers."""

from typing import Any

import pytest

from consumer.control.difference import difference
from consumer.control.plain_secrets import (
    HIDDEN,
    marked_signing_secrets,
    plain_secrets,
    unmarked_signing_secrets,
    without_signing_secrets,
    without_signing_secrets_in,
)
from consumer.errors import ConfigError

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


def test_marked_signing_secrets_come_back_as_they_were() -> None:
    """A definition with marks in place of its signing secrets becomes the same definition again,
    in whatever order its writer has put them, with one that is new between them.
    """
    other = "whsec_b3RoZXI="
    definition = {"id": "h", "signing_secrets": [PLAIN, REFERENCES[0], other]}
    marked = marked_signing_secrets(definition)
    assert PLAIN not in repr(marked)
    assert marked["signing_secrets"][1] == REFERENCES[0]
    assert unmarked_signing_secrets(marked, definition) == definition
    first, reference, last = marked["signing_secrets"]
    moved = {**marked, "signing_secrets": [last, "whsec_bmV3", reference, first]}
    found = unmarked_signing_secrets(moved, definition)["signing_secrets"]
    assert found == [other, "whsec_bmV3", REFERENCES[0], PLAIN]
    assert unmarked_signing_secrets({"id": "h"}, None) == {"id": "h"}


@pytest.mark.parametrize("in_force", [None, {}, {"signing_secrets": ["whsec_b3RoZXI="]}])
def test_a_mark_of_another_secret_is_refused(in_force: Any) -> None:
    """A mark that stands for no secret of the definition in force is a problem of its field, and
    so is the word that readers see in place of a secret.
    """
    [marked] = marked_signing_secrets({"signing_secrets": [PLAIN]})["signing_secrets"]
    with pytest.raises(ConfigError) as caught:
        unmarked_signing_secrets({"signing_secrets": ["x", marked, HIDDEN]}, in_force)
    assert [one.field for one in caught.value.diagnostics] == [
        "signing_secrets[1]", "signing_secrets[2]",
    ]  # fmt: skip
