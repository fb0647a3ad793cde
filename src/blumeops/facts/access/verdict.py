"""`reach`: may a source reach a destination, by which name, and which lines decide it.

Three things stand between a caller and a service: a name that resolves where the caller is, a policy that lets the
packet through, and a listener. Each way in is tried in the order in which a person would use it; the first that holds
is the answer, with the line of each link. When none does, each way's broken link is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blumeops.base.findings import Place
from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.borders import API
from blumeops.facts.access.devices import to_host
from blumeops.facts.access.grants import SHARE_PORTS
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import Source, Way, kind_of, source


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, with the links of the way that is open, or what is missing of each."""

    source: str
    destination: str
    port: int | None
    reachable: bool
    name: str
    because: tuple[Reason, ...]

    def as_json(self) -> dict[str, object]:
        """The object of `reach --json`."""
        return {
            "version": 1, "src": self.source, "dst": self.destination, "port": self.port,
            "reachable": self.reachable, "name": self.name or None,
            "because": [
                {"file": each.place.file, "line": each.place.line, "text": each.text} for each in self.because
            ],
        }  # fmt: skip


def reach(access: Access, src: str, dst: str, port: int | None = None) -> Verdict:
    """The verdict about one pair. Raises LookupError for a name that nothing in the lab has."""
    who = source(access, src)
    kind, name = kind_of(access, dst)
    ways = list(_ways(access, who, kind, name, port))
    about = (who.about,) if who.about else ()
    for way in ways:
        if not way.missing:
            return Verdict(src, dst, way.port or None, True, way.name, (*about, *way.links))
    # What the lab says of the service itself comes first: it is what a person would change.
    own = {access.lab.service_place(name).file} if kind == "service" else set()
    missing = dict.fromkeys(
        sorted((reason for way in ways for reason in way.missing), key=lambda reason: reason.place.file not in own)
    )
    if not ways:
        missing = dict.fromkeys([_no_way(access, kind, name, port)])
    return Verdict(src, dst, port or (ways[0].port if ways else None), False, "", (*about, *missing))


def _no_way(access: Access, kind: str, name: str, port: int | None) -> Reason:
    where = f"at port {port}" if port else ""
    place = access.lab.service_place(name) if kind == "service" else access.lab.place(f"{kind}s", name)
    return Reason(place, f"nothing of {name} listens {where}".rstrip() + " for others")


def _ways(access: Access, who: Source, kind: str, name: str, port: int | None) -> Iterator[Way]:
    match kind:
        case "service":
            yield from (way for way in to_service(access, who, name) if port in (None, way.port))
        case "host":
            yield from to_host(access, who, name, port)
        case "cluster":
            yield from _to_cluster(access, who, name, port)
        case "person":
            yield from _to_person(access, who, name, port)
        case "internet":
            place = access.lab.place("network") if who.view != "internet" else access.lab.place("lab")
            link = Reason(place, "what leaves the lab is not filtered: the tailnet's policy is about the tailnet")
            yield Way("", port or 0, (link,))
        case "lan":
            host = access.lab.place("network")
            yield Way("", port or 0, (), (Reason(host, "devices beside the tailnet have no name in the lab"),))


def _to_cluster(access: Access, who: Source, name: str, port: int | None) -> Iterator[Way]:
    """A cluster's API: minikube's is on its host's loopback."""
    cluster = access.lab.settings.clusters[name]
    number = port or API[cluster.kind]
    place = access.lab.place("clusters", name)
    if who.place == name:
        yield Way("kubernetes.default.svc", number, (Reason(place, f"{who.name} is a pod of {name}"),))
    elif who.host == cluster.host:
        yield Way("127.0.0.1", number, (Reason(place, f"{who.name} is on {cluster.host}, which carries {name}"),))
    elif cluster.kind == "minikube":
        text = f"the API of {name} listens on the loopback of {cluster.host} alone"
        yield Way("", number, (), (Reason(place, text),))
    else:
        yield from to_host(access, who, cluster.host, number)


def _to_person(access: Access, who: Source, name: str, port: int | None) -> Iterator[Way]:
    """Any device of a person: the policy opens one by name of its user alone."""
    number = port or SHARE_PORTS["ssh"]
    place: Place = access.lab.place("people", name)
    let = access.lets(who.end, f"person:{name}", number) if who.end else ()
    text = f"no line lets {who.name} reach a device of {name}"
    if who.end == f"person:{name}":
        text = f"no line lets the devices of {name} reach each other"
    yield Way("", number, let[:1], () if let else (Reason(place, text),))
