"""The ways to a device itself: by its name on the tailnet, and by its address from beside it."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.grants import SHARE_PORTS
from blumeops.facts.access.names import BESIDE, MAGIC, WORDS
from blumeops.facts.access.services import listens_wide
from blumeops.facts.access.sources import Source, Way, unresolved


def known_ports(access: Access, host: str) -> tuple[int, ...]:
    """The ports of a host itself that the lab speaks of: SSH, shares, and the proxy's."""
    entry = access.lab.settings.hosts[host]
    found = [SHARE_PORTS["ssh"], *(SHARE_PORTS[by] for share in entry.shares.values() for by in share.by)]
    if access.ids.proxy is not None and access.ids.proxy.host == host:
        found += access.ids.proxy_ports
    return tuple(dict.fromkeys(found))


def to_host(access: Access, who: Source, name: str, port: int | None) -> Iterator[Way]:
    """A device by its name on the tailnet, or by its address in the home network; at one port, or at any that the lab
    speaks of."""
    address = access.lab.settings.hosts[name].address
    beside = access.ids.tailnet and who.host != name and who.view in BESIDE and address
    wide = wide_ports(access, name) if beside else frozenset()
    for number in (port,) if port else known_ports(access, name):
        yield _to_device(access, who, name, number)
        if address and number in wide:
            yield _beside_device(access, name, address, number)


def _to_device(access: Access, who: Source, name: str, number: int) -> Way:
    """By its name on the tailnet; without one by its address, and from itself by loopback."""
    lab, tailnet = access.lab, access.ids.tailnet
    place = lab.place("hosts", name)
    if who.host == name:
        at = "127.0.0.1" if who.view in ("host", "device") else lab.settings.hosts[name].address or ""
        return Way(at, number, (Reason(place, f"{who.name} is on {name} itself"),))
    if not tailnet:
        address = lab.settings.hosts[name].address or name
        missing = () if who.view in BESIDE else (Reason(place, f"{who.name} is not beside {name}"),)
        return Way(address, number, (Reason(place, "there is no tailnet, and so no policy"),), missing)
    if not who.end:
        text = f"{name} has an address of the tailnet, to which {WORDS[who.view]} has no route"
        return Way("", number, (), (Reason(lab.place("network", "tailnet"), text),))
    let = access.lets(who.end, f"host:{name}", number)
    closed = Reason(place, f"no line lets {who.name} reach port {number} of {name}")
    full = f"{name}.{tailnet}" if who.view in MAGIC else lab.settings.hosts[name].address or ""
    absent = [] if full else [unresolved(access, who, f"{name}.{tailnet}")]
    return Way(full, number, let[:1], (*absent, *(() if let else (closed,))))


def _beside_device(access: Access, name: str, address: str, number: int) -> Way:
    """SSH and shares listen on all addresses of a device: from beside it, no policy stands before them."""
    text = f"{name} listens there on all its addresses: past the tailnet's policy"
    return Way(address, number, (Reason(access.lab.place("hosts", name, "address"), text),))


def wide_ports(access: Access, host: str) -> frozenset[int]:
    """The ports at which a host answers on all its addresses."""
    of_services = (
        port.port
        for name, service in access.facts.services.items()
        if service.service.host == host
        for word, port in service.ports.items()
        if port.entry or (listens_wide(access, name) and not access.ids.is_inside(name, word))
    )
    return frozenset((*known_ports(access, host), *of_services))
