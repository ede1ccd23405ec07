"""Makes the egress policy of the settings, and finds the hooks that it refuses."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from urllib.parse import urlsplit

from consumer.delivery.egress.guard import EgressPolicy, OwnEndpoint
from consumer.errors import Diagnostic
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.settings import Settings

log = get_logger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}


def guard_policy(settings: Settings, admin_port: int | None = None) -> EgressPolicy:
    """The policy of the settings. `admin_port` is the port in use if the system picked it."""
    network, admin = settings.network, settings.admin
    port, what = admin_port or admin.port, "hookstream's own admin server"
    hosts = (f"[{host}]" if ":" in host else host for host in admin.host)
    own = [OwnEndpoint.of(f"{host}:{port}", what) for host in hosts]
    own += map(_broker, settings.kafka.bootstrap_servers)
    panel = f"[{settings.panel.host}]" if ":" in settings.panel.host else settings.panel.host
    own.append(OwnEndpoint.of(f"{panel}:{settings.panel.port}", "hookstream's own panel"))
    return EgressPolicy.of(allow=network.allow, deny=network.deny, own=own)


def warn_of_refused_uris(hooks: Iterable[Hook], policy: EgressPolicy) -> None:
    """Log a warning for each hook whose every request `policy` will refuse."""
    for problem in refused_uris(hooks, policy):
        log.warning("every request of a hook will be blocked", problem=str(problem))


def _broker(server: str) -> OwnEndpoint:
    """A broker's endpoint. A local one may listen at the machine's other addresses as well."""
    broker = OwnEndpoint.of(server, "one of hookstream's own Kafka brokers")
    local = broker.address is not None and broker.address.is_loopback
    return replace(broker, address=None) if local else broker


def refused_uris(hooks: Iterable[Hook], policy: EgressPolicy) -> Iterator[Diagnostic]:
    """A diagnostic for each hook whose every request will be refused, as far as its URI tells."""
    judge = cache(partial(_judge, policy))  # many hooks go to few hosts
    for hook in hooks:
        refusal = judge(hook.origin)
        if refusal is not None:
            yield replace(refusal, file=hook.file, line=hook.uri_line, hook=hook.id, field="uri")


def _judge(policy: EgressPolicy, origin: str) -> Diagnostic | None:
    url = urlsplit(origin)
    host, port = url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]
    reason = policy.precheck(host, port)
    if reason is None:
        return None
    return Diagnostic(f"no request may go there: {reason}", _hint(policy, host, port))


def _hint(policy: EgressPolicy, host: str, port: int) -> str:
    """The narrowest `network.allow` entry that helps, unless `network.deny` refuses the host."""
    opened = replace(policy, allow_ports=policy.allow_ports | {(host.removesuffix("."), port)})
    if opened.precheck(host, port) is not None:
        return "write another host, or take this one out of network.deny"
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"write another host, or add {server} to network.allow, if you mean it"
