"""Access at site `here`: nothing but loopback stands between a caller and a service."""

from __future__ import annotations

from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.sources import kind_of
from blumeops.facts.access.verdict import Verdict

HERE = "site here: nothing but loopback stands between a caller on this machine and a service; no policy is enforced"


def at_here(access: Access, src: str, dst: str, port: int | None) -> Verdict:
    """Who is on this machine reaches what listens on it; nobody else does. Raises LookupError for unknown names."""
    source, (kind, name) = kind_of(access, src), kind_of(access, dst)
    place = access.lab.service_place(name) if kind == "service" else access.lab.place("lab")
    inside = source[0] not in ("lan", "internet")
    url = access.facts.services[name].here_url if kind == "service" else ""
    return Verdict(
        src, dst, port or (access.lab.settings.here.https if url else None), inside, url if inside else "",
        (Reason(place, HERE if inside else "site here listens on the loopback of this machine alone"),),
    )  # fmt: skip
