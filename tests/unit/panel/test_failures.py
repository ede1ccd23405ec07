"""The bounds of failed log-ins."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from consumer.panel.failures import (
    ADDRESS_FAILURES,
    ADDRESS_SECONDS,
    ALL_FAILURES,
    ALL_SECONDS,
    FailedLogIns,
)

HERE = IPv4Address("192.0.2.1")


def _addresses(count: int) -> list[IPv4Address]:
    return [IPv4Address("10.0.0.0") + number for number in range(count)]


def test_an_address_that_fails_too_often_must_wait() -> None:
    """After some failures an address must wait, others need not, and later it may try once more."""
    failures, now = FailedLogIns(), 1_000.0
    for _ in range(ADDRESS_FAILURES):
        assert failures.wait(HERE, now) == 0.0
        failures.failed(HERE, now)
    assert 0.0 < failures.wait(HERE, now) <= ADDRESS_SECONDS
    assert failures.wait(IPv4Address("192.0.2.2"), now) == 0.0
    now += ADDRESS_SECONDS
    assert failures.wait(HERE, now) == 0.0
    failures.failed(HERE, now)
    assert failures.wait(HERE, now) > 0.0


def test_many_addresses_together_must_wait_but_not_who_logged_in() -> None:
    """Failures of many addresses together hold up all but those that have logged in before."""
    failures, now = FailedLogIns(), 1_000.0
    failures.succeeded(HERE, now)
    for address in _addresses(ALL_FAILURES):
        assert failures.wait(address, now) == 0.0
        failures.failed(address, now)
    assert 0.0 < failures.wait(IPv4Address("192.0.2.2"), now) <= ALL_SECONDS
    assert failures.wait(HERE, now) == 0.0


def test_an_ipv6_network_counts_as_one_address() -> None:
    """All addresses of one IPv6 network of 64 bits count together."""
    failures, now = FailedLogIns(), 1_000.0
    for number in range(ADDRESS_FAILURES):
        failures.failed(IPv6Address(f"2001:db8::{number:x}"), now)
    assert failures.wait(ip_address("2001:db8::ffff"), now) > 0.0
    assert failures.wait(ip_address("2001:db8:0:1::1"), now) == 0.0


def test_memory_is_bounded() -> None:
    """The failures of very many addresses take bounded memory."""
    failures = FailedLogIns()
    for number, address in enumerate(_addresses(12_000)):
        failures.failed(address, 1_000.0 + number * ALL_SECONDS)
        failures.succeeded(address, 1_000.0 + number * ALL_SECONDS)
    assert len(failures._buckets) == len(failures._known) == 10_000
