"""Access at site `here`: nothing but loopback stands between a caller and a service."""

from __future__ import annotations

from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.sources import kind_of
from blumeops.facts.access.verdict import Verdict

HERE = "site here: nothing but loopback stands between a caller on this machine and a service; no policy is enforced"

ELSEWHERE = "site here gives programs numbers of its own, which nobody knows beforehand"


def at_here(access: Access, src: str, dst: str, port: int | None) -> Verdict:
    """Who is on this machine reaches what listens on it; nobody else does. Raises LookupError for unknown names."""
    source, (kind, name) = kind_of(access, src), kind_of(access, dst)
    place = access.lab.service_place(name) if kind == "service" else access.lab.place("lab")
    inside = source[0] not in ("lan", "internet")
    url = access.facts.services[name].here_url if kind == "service" else ""
    own = access.lab.settings.here.https if url else None
    why = HERE if inside else "site here listens on the loopback of this machine alone"
    if inside and port not in (None, own):
        why = f"{ELSEWHERE}: {name} is {url}" if url else ELSEWHERE
        inside = False
    return Verdict(src, dst, port or own, inside, url if inside else "", (Reason(place, why),))
