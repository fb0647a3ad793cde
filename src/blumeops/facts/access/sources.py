"""Who asks, and one way in: what the verdicts about services and about devices are made of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.names import WORDS, Viewpoint, viewpoint


@dataclass(frozen=True, slots=True)
class Source:
    """Who asks: `end` is empty for what is not on the tailnet; `place` is the host or cluster that it runs in."""

    name: str
    view: Viewpoint
    end: str = ""
    place: str = ""
    host: str = ""
    about: Reason | None = None
    """The line that says what it is."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in: by this name, at this port; open when nothing is `missing`."""

    name: str
    port: int
    links: tuple[Reason, ...]
    missing: tuple[Reason, ...] = ()
    beside: bool = False
    """Whether it stays within one cluster or host."""


def source(access: Access, text: str) -> Source:
    """Who `text` is: a person, host, service, cluster, `internet` or `lan`; `KIND:NAME` where it is ambiguous.

    Raises LookupError for others.
    """
    kind, name = kind_of(access, text)
    lab, settings = access.lab, access.lab.settings
    match kind:
        case "person":
            person = settings.people[name]
            about = Reason(lab.place("people", name), f"{name} is {person.login}, role {person.role}")
            return Source(name, "device", f"person:{name}", about=about)
        case "host":
            host = settings.hosts[name]
            what = f"{host.owner}'s own device" if host.owner else f"tag:{name}"
            place = lab.place("hosts", name, *(("owner",) if host.owner else ()))
            about = Reason(place, f"{name} is {what}")
            return Source(name, "device" if host.owner else "host", f"host:{name}", name, name, about)
        case "cluster":
            return _pods(access, name, name)
        case "service":
            service = access.facts.services[name]
            if service.service.cluster:
                return _pods(access, name, service.service.cluster)
            about = Reason(lab.service_place(name, "host"), f"{name} runs on {service.host}")
            return Source(name, viewpoint(service), f"host:{service.host}", service.host, service.host, about)
    where: Viewpoint = "lan" if kind == "lan" else "internet"
    return Source(text, where)


def _pods(access: Access, name: str, cluster: str) -> Source:
    settings = access.lab.settings.clusters[cluster]
    as_whom = f"as {settings.host}" if settings.egress == "host" else f"as tag:{cluster}-egress"
    place = access.lab.place("clusters", cluster)
    about = Reason(place, f"pods of {cluster} send {as_whom} (egress: {settings.egress})")
    return Source(name, "pod", access.end_of_cluster(cluster), cluster, settings.host, about)


def kind_of(access: Access, text: str) -> tuple[str, str]:
    """What a name on the command line stands for: kind and name. Raises LookupError."""
    settings = access.lab.settings
    known: dict[str, Collection[str]] = {
        "person": settings.people, "host": settings.hosts, "service": access.facts.services,
        "cluster": settings.clusters,
    }  # fmt: skip
    kind, colon, name = text.partition(":")
    if colon and kind in known and name in known[kind]:
        return kind, name
    if text in ("internet", "lan"):
        return text, text
    found = [kind for kind, names in known.items() if text in names]
    if not found:
        by_label = [name for name, each in access.facts.services.items() if each.label == text]
        if by_label:
            return "service", by_label[0]
        raise LookupError(text)
    return found[0], text


def unresolved(access: Access, who: Source, name: str) -> Reason:
    """A name of MagicDNS does not resolve there."""
    place = access.lab.place("network", "tailnet")
    where = f"no pod of {who.place}" if who.view == "pod" else WORDS[who.view]
    tail = "can resolve" if who.view == "pod" else "does not resolve"
    return Reason(place, f"{name} is a name of MagicDNS, which {where} {tail}")
