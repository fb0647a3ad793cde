"""Which plugins the lab's proxy has to have: certificates by DNS and TCP routes are no part of any package of Caddy."""

from __future__ import annotations

from blumeops.lab.model import Lab

KNOWN = {
    "cloudflare": "github.com/caddy-dns/cloudflare@v0.2.4",
    "duckdns": "github.com/caddy-dns/duckdns@v0.5.0",
    "gandi": "github.com/caddy-dns/gandi@v1.1.0",
    "namecheap": "github.com/caddy-dns/namecheap@v1.0.0",
    "route53": "github.com/caddy-dns/route53@v1.6.2",
}
"""By provider: its plugin, in a version that goes with Caddy 2.11."""

TCP = "github.com/mholt/caddy-l4@v0.1.2"
"""What leads to services that speak no HTTP."""


def plugin(lab: Lab) -> str | None:
    """The plugin of the lab's DNS provider; None where it has none, or where nobody says its version."""
    dns = lab.settings.network.dns
    return (dns.plugin or KNOWN.get(dns.provider)) if dns else None
