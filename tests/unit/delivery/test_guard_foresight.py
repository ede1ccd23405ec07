"""What `check` says of URIs that the guard will refuse, and the guard that settings describe."""

from typing import Any

import pytest

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.egress.network import guard_policy, refused_uris
from consumer.settings import AdminSettings, KafkaSettings, NetworkSettings, Settings
from support.fakes import make_hook

HOST = "hook.example"


def problems(origin: str, **entries: Any) -> list[tuple[str, str]]:
    """Message and hint for one hook."""
    hooks = [make_hook("h1", uri=origin + "/x")]
    return [(p.message, p.hint) for p in refused_uris(hooks, EgressPolicy.of(**entries))]


@pytest.mark.parametrize(
    ("origin", "message", "hint"),
    [
        ("http://10.0.0.5", "10.0.0.5 is private (RFC 1918)", "add 10.0.0.5:80 to network.allow"),
        (
            "https://[fd00::1]:8443",
            "fd00::1 is unique local",
            "add [fd00::1]:8443 to network.allow",
        ),
        ("http://localhost:8080", "127.0.0.1 is loopback", "add localhost:8080 to network.allow"),
    ],
)
def test_uris_that_are_sure_to_be_refused(origin: str, message: str, hint: str) -> None:
    """A URI that is sure to be refused is reported with the reason and an `allow` entry, and that
    entry helps.
    """
    ((said, advice),) = problems(origin)
    assert message in said
    assert hint in advice
    entry = advice.partition(" add ")[2].partition(" ")[0]
    assert problems(origin, allow=[entry]) == []


@pytest.mark.parametrize(
    ("origin", "deny"), [(f"http://{HOST}", HOST), ("http://93.184.215.14", "93.184.0.0/16")]
)
def test_denied_uris(origin: str, deny: str) -> None:
    """A URI that `deny` refuses is reported without advice, since no `allow` entry would help."""
    ((said, advice),) = problems(origin, deny=[deny])
    assert "network.deny" in said
    assert "out of network.deny" in advice
    assert "network.allow" not in advice


@pytest.mark.parametrize("origin", [f"https://{HOST}", "http://93.184.215.14:8080"])
def test_other_uris(origin: str) -> None:
    """Names, which are judged by their addresses later, and public addresses are not reported."""
    assert problems(origin) == []


def test_guard_of_the_settings() -> None:
    """The guard has the settings' `network` and the daemon's own endpoints from `admin` and
    `kafka`.
    """
    settings = Settings(
        network=NetworkSettings(allow=("127.0.0.0/8", "a.example"), deny=("127.0.0.9/32",)),
        admin=AdminSettings(host=("::1",), port=9464),
        kafka=KafkaSettings(bootstrap_servers=("127.0.0.1:9092", "kafka-2")),
    )
    policy = guard_policy(settings)
    assert policy.judge("127.0.0.1", 80, HOST) is None
    assert policy.judge("127.0.0.9", 80, HOST) == "127.0.0.9 is in network.deny: 127.0.0.9/32"
    assert policy.judge("10.0.0.1", 80, "a.example") is None
    admin, broker = policy.judge("::1", 9464, HOST), policy.judge("127.0.0.1", 9092, HOST)
    assert admin == "::1 port 9464 is hookstream's own admin server"
    assert broker == "127.0.0.1 port 9092 is one of hookstream's own Kafka brokers"
    assert policy.judge("93.184.215.14", 9092, HOST) is not None  # where kafka-2 may be


@pytest.mark.parametrize("server", ["127.0.0.1:9092", "[::1]:9092", "localhost:9092"])
@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::ffff:127.0.0.1", "10.0.0.5"]
)
def test_a_broker_on_this_machine_has_all_its_addresses(server: str, address: str) -> None:
    """A broker at one loopback address is protected at every loopback address and at the machine's
    own.
    """
    settings = Settings(
        network=NetworkSettings(allow=("127.0.0.0/8", "::/0", "10.0.0.0/8")),
        kafka=KafkaSettings(bootstrap_servers=(server,)),
    )
    refused = guard_policy(settings).judge(address, 9092, HOST)
    assert refused == f"{address} port 9092 is one of hookstream's own Kafka brokers"


def test_port_that_the_system_picked() -> None:
    """The guard knows the admin server's real port if the system picked it."""
    settings = Settings(
        network=NetworkSettings(allow=("127.0.0.0/8",)), admin=AdminSettings(port=0)
    )
    assert guard_policy(settings, 40_000).judge("127.0.0.1", 40_000, HOST) is not None
    assert guard_policy(settings, 40_000).judge("127.0.0.1", 40_001, HOST) is None
