"""What the API shows of hooks to whom."""

from ipaddress import IPv4Address

import pytest

from consumer.control.records import Action, AuditRecord
from consumer.panel.api_hooks import revision
from consumer.panel.callers import Caller
from consumer.panel.credentials import Identity
from consumer.panel.routes import Call
from consumer.settings import RoleName

SECRET = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"  # of no receiver


def _call(role: RoleName) -> Call:
    caller = Caller(IPv4Address("127.0.0.1"), is_proxied=False, is_secure=False, hosts=[])
    return Call(Identity("ayse", role, "token"), caller, {}, None, None, "")


@pytest.mark.parametrize(("role", "shown"), [("viewer", "(hidden)"), ("editor", "(hidden ")])
def test_a_signing_secret_in_plain_is_shown_to_no_role(role: RoleName, shown: str) -> None:
    """A revision has no signing secret that stands in plain; an editor gets a mark in
    its place, to write the definition back.
    """
    after = {"id": "h", "signing_secrets": [SECRET, "${env:KEY}"]}
    change = AuditRecord("2026-01-01T00:00:00Z", "ayse", Action.CREATED, "h", 1, None, after, "")
    found = revision(change, _call(role))
    assert SECRET not in repr(found)
    first, second = found["definition"]["signing_secrets"]
    assert (first.startswith(shown), second) == (True, "${env:KEY}")
