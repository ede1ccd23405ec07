"""Tokens, sessions and CSRF tokens."""

import hashlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from consumer.panel.credentials import (
    SESSION_SECONDS,
    Credential,
    Credentials,
    Identity,
    hash_token,
    is_csrf_token,
    make_token,
)
from consumer.settings import ROLES, PanelToken

NOW = 1_800_000_000.0
AYSE = Credential("ayse", "editor", hash_token("one"))
MEHMET = Credential("mehmet", "viewer", hash_token("two"))
BOTH = Credentials([AYSE, MEHMET])


def test_a_token_is_known_by_its_hash() -> None:
    """A token opens the panel for the user whose entry has its SHA-256; another text does not."""
    token = make_token(bytes(32))
    digest = hashlib.sha256(token.encode()).hexdigest()
    known = Credentials.of([PanelToken(name="ayse", role="editor", sha256=digest)])
    found = known.by_token(token)
    assert found is not None
    assert (found.name, found.role) == ("ayse", "editor")
    assert known.by_token(token[:-1]) is None
    assert known.by_token(digest) is None
    assert known.by_token("x" * 100_000) is None


def test_a_session_is_its_tokens_and_ends_with_it() -> None:
    """A session is its user's with the role that the token has now, for twelve hours; it ends if
    the token is taken out or exchanged.
    """
    cookie, identity = BOTH.begin_session(AYSE, NOW, "nonce")
    assert (identity.name, identity.role, identity.how) == ("ayse", "editor", "session")
    assert BOTH.by_session(cookie, NOW + SESSION_SECONDS - 1) == identity
    assert BOTH.by_session(cookie, NOW + SESSION_SECONDS) is None
    raised = Credentials([replace(AYSE, role="operator")]).by_session(cookie, NOW)
    assert raised is not None
    assert raised.role == "operator"
    assert Credentials([MEHMET]).by_session(cookie, NOW) is None
    assert Credentials([replace(AYSE, digest=hash_token("new"))]).by_session(cookie, NOW) is None


def test_another_panel_with_the_same_tokens_takes_a_session() -> None:
    """A session that one panel began is the same at another panel with the same settings."""
    cookie, identity = BOTH.begin_session(AYSE, NOW, "nonce")
    assert Credentials([MEHMET, AYSE]).by_session(cookie, NOW) == identity


@given(st.data())
def test_a_changed_cookie_opens_nothing(data: st.DataObject) -> None:
    """A session's cookie in which any character differs opens nothing."""
    cookie, _ = BOTH.begin_session(AYSE, NOW, "nonce")
    at = data.draw(st.integers(0, len(cookie) - 1))
    letter = data.draw(st.characters().filter(lambda one: one != cookie[at]))
    assert BOTH.by_session(cookie[:at] + letter + cookie[at + 1 :], NOW) is None


@given(st.text(max_size=2_000))
def test_any_text_opens_nothing(text: str) -> None:
    """No text raises an error as a cookie, a token or a CSRF token, and none opens the panel."""
    assert BOTH.by_session(text, NOW) is None
    assert BOTH.by_session(f"{text}.{text}", NOW) is None
    assert BOTH.by_token(text) is None or text in {"one", "two"}
    _, identity = BOTH.begin_session(AYSE, NOW, "nonce")
    assert is_csrf_token(identity, text) == (text == identity.csrf)


def test_a_session_of_one_user_cannot_be_another_ones() -> None:
    """A cookie whose claims were exchanged for another user's opens nothing."""
    mine, _ = BOTH.begin_session(MEHMET, NOW, "nonce")
    others, _ = BOTH.begin_session(AYSE, NOW, "nonce")
    assert BOTH.by_session(f"{others.partition('.')[0]}.{mine.partition('.')[2]}", NOW) is None


def test_a_csrf_token_is_its_sessions() -> None:
    """The CSRF token of another session does not count, and a user without a session has none."""
    _, one = BOTH.begin_session(AYSE, NOW, "one")
    _, other = BOTH.begin_session(AYSE, NOW, "other")
    assert is_csrf_token(one, one.csrf)
    assert not is_csrf_token(one, other.csrf)
    assert not is_csrf_token(Identity("ayse", "editor", "token"), "")


def test_each_role_may_do_what_those_before_it_may() -> None:
    """A role may do what lower roles may, and nothing of higher ones."""
    may = [[Identity("a", own, "token").may(role) for role in ROLES] for own in ROLES]
    assert may == [[True, False, False], [True, True, False], [True, True, True]]
