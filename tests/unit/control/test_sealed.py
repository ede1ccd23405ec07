"""Sealed secrets: which keys and URIs open them, and what is said of the others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consumer.control.sealed import MAX_SEALED_BYTES, Unsealer, new_key, seal
from consumer.documents.validation import findings
from consumer.errors import InvalidValue
from consumer.hooks.definition import Definition
from consumer.hooks.load_context import LoadContext

ORIGIN = "https://crm.example.com"
CANARY = "canary-8d1f"
PUBLIC, PRIVATE = new_key()


def _body(sealed: str) -> str:
    return sealed.removeprefix("${sealed:").removesuffix("}")


def _definition(hook_id: str, origin: str, secret: str) -> dict[str, Any]:
    header = {"key": "X-Key", "source": "fixed", "value": f"Bearer {secret}"}
    return {"id": hook_id, "trigger": "event", "uri": f"{origin}/h", "headers": [header]}


def _read_nothing(_kind: str, _name: str) -> str:
    raise AssertionError


def _context(*keys: str) -> LoadContext:
    return LoadContext(_read_nothing, Unsealer(keys).open)


def _problems(data: dict[str, Any], context: LoadContext) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Definition.model_validate(data, context=context)
    return [f"{one.message} ({one.hint})" for one in findings(raised.value, Definition)]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_what_is_sealed_is_opened_as_it_was(text: str) -> None:
    """A sealed text is opened as it was, line ends and characters of any script included."""
    sealed = seal(text, ORIGIN, PUBLIC)
    assert Unsealer([PRIVATE]).open(_body(sealed), ORIGIN) == text


def test_two_seals_of_one_secret_differ() -> None:
    """Two sealed values of one secret differ, so that a reader cannot compare secrets."""
    assert seal(CANARY, ORIGIN, PUBLIC) != seal(CANARY, ORIGIN, PUBLIC)


@pytest.mark.parametrize(
    "other",
    ["http://crm.example.com", "https://crm.example.com:8443", "https://evil.example.com"],
)
def test_a_sealed_value_stays_with_its_origin(other: str) -> None:
    """A sealed value is refused in a hook with another scheme, host or port, and the hint says how
    to seal it for that one.
    """
    with pytest.raises(InvalidValue) as raised:
        Unsealer([PRIVATE]).open(_body(seal(CANARY, ORIGIN, PUBLIC)), other)
    assert raised.value.message == f"is sealed for {ORIGIN}, and the URI has the origin {other}"
    assert "hookstream hooks seal --uri" in raised.value.hint
    assert CANARY not in str(raised.value)


def test_keys_can_be_rotated() -> None:
    """With two private keys what either public key has sealed is opened; with the new one alone
    the old is refused with a hint.
    """
    new_public, new_private = new_key()
    old, new = (_body(seal(CANARY, ORIGIN, key)) for key in (PUBLIC, new_public))
    both = Unsealer([new_private, PRIVATE])
    assert both.open(old, ORIGIN) == both.open(new, ORIGIN) == CANARY
    with pytest.raises(InvalidValue, match="another key") as raised:
        Unsealer([new_private]).open(old, ORIGIN)
    assert "hooks.seal_public_key" in raised.value.hint


def test_without_a_key_nothing_is_opened() -> None:
    """A process without a private key refuses a sealed value, and names the setting."""
    with pytest.raises(InvalidValue, match="no key to open it") as raised:
        Unsealer([]).open(_body(seal(CANARY, ORIGIN, PUBLIC)), ORIGIN)
    assert "hooks.seal_private_key" in raised.value.hint


@pytest.mark.parametrize(
    "key",
    [PRIVATE, PUBLIC[:-1], PUBLIC + "A", "", "abc", PUBLIC + "="],
    ids=["private", "cut", "longer", "empty", "short", "padded"],  # the keys differ in each process
)
def test_a_text_that_is_no_public_key_seals_nothing(key: str) -> None:
    """A private key, a cut one or any other text is refused in place of a public key, and is not
    repeated.
    """
    with pytest.raises(InvalidValue) as raised:
        seal(CANARY, ORIGIN, key)
    assert raised.value.message == "is no key that begins with hookstream-seal-public-"
    assert "hookstream hooks seal --new-key" in raised.value.hint


def test_a_public_key_opens_nothing() -> None:
    """A public key is refused in place of a private one."""
    with pytest.raises(InvalidValue, match="is no key that begins with"):
        Unsealer([PUBLIC])


@pytest.mark.parametrize("text", ["", "x" * (MAX_SEALED_BYTES + 1)], ids=["empty", "long"])
def test_the_length_of_a_secret_is_bounded(text: str) -> None:
    """An empty secret and one beyond the limit are refused."""
    with pytest.raises(InvalidValue, match="empty or too long"):
        seal(text, ORIGIN, PUBLIC)


@given(st.text(max_size=200))
def test_no_text_does_harm(body: str) -> None:
    """Any text in place of a sealed value is refused as one."""
    with pytest.raises(InvalidValue):
        Unsealer([PRIVATE]).open(body, ORIGIN)


def test_a_definition_gets_the_secret_and_shows_the_seal() -> None:
    """A definition's header has the opened secret, is marked as secret, and is shown as the sealed
    text.
    """
    sealed = seal(CANARY, ORIGIN, PUBLIC)
    data = _definition("a", ORIGIN, sealed)
    value = Definition.model_validate(data, context=_context(PRIVATE)).headers[0].value
    assert (value.text, value.secret) == (f"Bearer {CANARY}", True)
    assert value.reference == f"Bearer {sealed}"
    assert CANARY not in repr(value)


def test_an_equal_part_of_another_origin_is_not_shared() -> None:
    """A sealed header that one hook may use is refused in the next hook of the same load, if that
    one sends to another origin.
    """
    sealed, context = seal(CANARY, ORIGIN, PUBLIC), _context(PRIVATE)
    Definition.model_validate(_definition("a", ORIGIN, sealed), context=context)
    [problem] = _problems(_definition("b", "https://evil.example.com", sealed), context)
    assert problem.startswith(f"is sealed for {ORIGIN}, and the URI has the origin https://evil")
    assert CANARY not in problem
    Definition.model_validate(_definition("c", ORIGIN, sealed), context=context)


@pytest.mark.parametrize("uri", [{"uri": "ftp://x"}, {}])
def test_a_definition_without_a_valid_uri_opens_nothing(uri: dict[str, str]) -> None:
    """A sealed value of a definition whose URI is refused is not opened, whatever the URI of the
    definition before it was.
    """
    sealed, context = seal(CANARY, ORIGIN, PUBLIC), _context(PRIVATE)
    Definition.model_validate(_definition("a", ORIGIN, sealed), context=context)
    broken = _definition("b", ORIGIN, sealed)
    del broken["uri"]
    found = _problems({**broken, **uri}, context)
    assert "is sealed for a URI, and the hook has none (correct its uri)" in found


def test_a_known_seal_is_compared_with_the_keys_of_now() -> None:
    """Sealed secrets that were read before count as unchanged only if the keys of now open them to
    the same text.
    """
    sealed, context = seal(CANARY, ORIGIN, PUBLIC), _context(PRIVATE)
    Definition.model_validate(_definition("a", ORIGIN, sealed), context=context)
    assert _context(PRIVATE).still_reads(context.secrets)
    assert not _context().still_reads(context.secrets)


def test_signing_secrets_may_be_sealed() -> None:
    """A signing secret may be sealed."""
    sealed = seal("whsec_bXkgc2VjcmV0IGtleSBvZiAyNCBieXRlcw", ORIGIN, PUBLIC)
    data = {**_definition("a", ORIGIN, "x"), "signing_secrets": [sealed]}
    definition = Definition.model_validate(data, context=_context(PRIVATE))
    assert definition.signing_secrets == (b"my secret key of 24 bytes",)
