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


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("editor", True)])
def test_a_signing_secret_in_plain_is_for_editors(role: RoleName, sees: bool) -> None:  # a case
    """A viewer gets a revision without a signing secret that stands in plain; an editor gets it,
    to write the definition back.
    """
    after = {"id": "h", "signing_secrets": [SECRET, "${env:KEY}"]}
    change = AuditRecord("2026-01-01T00:00:00Z", "ayse", Action.CREATED, "h", 1, None, after, "")
    shown = repr(revision(change, _call(role)))
    assert (SECRET in shown) is sees
    assert "${env:KEY}" in shown
