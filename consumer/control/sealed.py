"""Sealed secrets: `${sealed:...}` in a definition, which only the daemon can open.

A sealed value is an X25519 sealed box (libsodium) of the URI's origin, a line end and the secret.
The public key makes it, and the private key opens it. The origin is inside, so a value that is
copied to a hook that sends to another origin is refused.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from nacl.bindings import crypto_box_SEALBYTES
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from consumer.errors import InvalidValue
from consumer.hooks.load_context import without_key

PUBLIC_PREFIX: Final = "hookstream-seal-public-"
PRIVATE_PREFIX: Final = "hookstream-seal-private-"
"""The beginnings of keys as text: neither is taken for the other, and secret scanners find them."""

MAX_SEALED_BYTES: Final = 8 * 1024
"""Of one secret; a header's value has at most half as much."""
_KEY_BYTES: Final = 32


def new_key() -> tuple[str, str]:
    """A new pair of keys as text: the public one, then the private one."""
    private = PrivateKey.generate()
    return (
        PUBLIC_PREFIX + _encode(bytes(private.public_key)),
        PRIVATE_PREFIX + _encode(bytes(private)),
    )


def seal(text: str, origin: str, public_key: str) -> str:
    """`text` as `${sealed:...}` for hooks whose URI has this origin (`scheme://host[:port]`).

    Raises:
        InvalidValue: the key is none, or the text is empty or too long.
    """
    box = SealedBox(PublicKey(_read_key(public_key, PUBLIC_PREFIX)))
    raw = text.encode()
    if not 0 < len(raw) <= MAX_SEALED_BYTES:
        raise InvalidValue("is empty or too long", f"seal 1 to {MAX_SEALED_BYTES:,} bytes")
    body = _encode(box.encrypt(origin.encode() + b"\n" + raw))
    return f"${{sealed:{body}}}"


class Unsealer:
    """Opens sealed values with one of the daemon's private keys: several, while keys rotate."""

    def __init__(self, private_keys: Sequence[str]) -> None:
        """Raises `InvalidValue` if one is no private key."""
        self._boxes = [
            SealedBox(PrivateKey(_read_key(key, PRIVATE_PREFIX))) for key in private_keys
        ]

    def open(self, body: str, origin: str) -> str:
        """The secret in `${sealed:body}` of a hook that sends to `origin`.

        Raises:
            InvalidValue: it is sealed for another key or origin, or is no sealed value.
        """
        if not self._boxes:
            return without_key(body, origin)
        sealed_for, _, text = self._opened(_sealed_bytes(body)).partition("\n")
        if sealed_for != origin:
            raise InvalidValue(
                f"is sealed for {sealed_for}, and the URI has the origin {origin}",
                "seal the secret again for this URI: hookstream hooks seal --uri URI",
            )
        return text

    def _opened(self, raw: bytes) -> str:
        for box in self._boxes:
            try:
                return box.decrypt(raw).decode()
            except (CryptoError, UnicodeDecodeError):
                continue
        raise InvalidValue(
            "is sealed for another key than those of hooks.seal_private_key",
            "seal the secret again with the present hooks.seal_public_key",
        )


def check_sealed(body: str) -> None:
    """Check the form of `${sealed:body}` without a key. Raises `InvalidValue`."""
    _sealed_bytes(body)


def _sealed_bytes(body: str) -> bytes:
    raw = _decode(body)
    if raw is None or len(raw) <= crypto_box_SEALBYTES:
        raise InvalidValue(
            "has ${sealed:...} that is none", "make one: hookstream hooks seal --uri URI"
        )
    return raw


def _read_key(text: str, prefix: str) -> bytes:
    """The bytes of a key. Raises `InvalidValue`, without the key."""
    key = _decode(text.removeprefix(prefix)) if text.startswith(prefix) else None
    if key is None or len(key) != _KEY_BYTES:
        raise InvalidValue(
            f"is no key that begins with {prefix}",
            "make a pair of keys: hookstream hooks seal --new-key",
        )
    return key


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes | None:
    """The bytes of base64url without padding; None if it is none."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _encode(raw) == text else None
