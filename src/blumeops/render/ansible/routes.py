"""The Caddyfile of a proxy on a host: which certificates, and where each route's service is from there."""

from __future__ import annotations

from blumeops.checks.check import CheckedLab
from blumeops.facts.access.identities import TcpRoute
from blumeops.facts.derive import Route
from blumeops.facts.parts import Text
from blumeops.render.ansible.speak import Speaker
from blumeops.render.caddy import STREAMS, caddyfile

TOKEN = "DNS_TOKEN"  # noqa: S105 - the variable's name
"""The environment variable of the proxy that holds the token of the DNS provider."""


def routes(checked: CheckedLab, say: Speaker) -> Text:
    """The routes as the service that `say` speaks for serves them."""
    network = checked.lab.settings.network
    domain = network.domain
    certificates = f"tls {{\n\t\tdns {network.dns.provider} {{env.{TOKEN}}}\n\t}}" if network.dns else "tls internal"

    def upstream(route: Route) -> Text | None:
        if domain is None:
            return None
        service = checked.facts.services[route.service]
        host = say.host_of(route.service)
        if service.service.host is None:
            return proxied(f"https://{host}", "header_up Host {upstream_hostport}", *streams)
        return proxied(f"{host}:{service.ports[route.port].port}", *streams)

    tcp: list[tuple[TcpRoute, Text]] = []
    for led in checked.access.ids.tcp_routes:
        port = checked.facts.services[led.service].ports[led.port].port
        tcp.append((led, (f"{say.host_of(led.service)}:{port}",)))
    wildcard = bool(network.dns and domain)
    built = wildcard or bool(tcp)
    streams = (STREAMS,) if built or say.system == "macos" else ()  # elsewhere it may be Debian's, which is older
    number = next((port.port for port in say.service.ports.values() if port.entry), 443)
    return caddyfile(
        checked.lab, checked.facts, domain or "", number, certificates, upstream,
        tcp=tcp, guarded=network.tailnet is not None, wildcard=wildcard,
    )  # fmt: skip


def proxied(to: str, *options: str) -> Text:
    """What follows `reverse_proxy`."""
    lines = "".join(f"\t\t{option}\n" for option in options)
    return (f"{to} {{\n{lines}\t}}" if lines else to,)
