"""The whole of a lab's access: every caller against everything that it may want, each cell the verdict of `reach`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blumeops.facts.access.access import Access
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import Source, source
from blumeops.facts.access.verdict import Verdict, reach


@dataclass(frozen=True, slots=True)
class Chart:
    """Sources against destinations; each cell is the port that is open, or empty."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    """By source, then by destination."""
    names: tuple[tuple[str, ...], ...]
    """The name to use, for each cell."""

    def columns(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each destination with its cells."""
        for number, name in enumerate(self.destinations):
            yield name, tuple(row[number] for row in self.cells)

    def as_json(self) -> dict[str, object]:
        """The object of `reach --matrix --json`: the open cells."""
        open_cells = [
            {"src": source, "dst": destination, "port": int(self.cells[i][j]), "name": self.names[i][j] or None}
            for i, source in enumerate(self.sources)
            for j, destination in enumerate(self.destinations)
            if self.cells[i][j]
        ]
        return {
            "version": 1, "sources": list(self.sources), "destinations": list(self.destinations), "reach": open_cells,
        }  # fmt: skip


def chart(access: Access) -> Chart:
    """People, hosts, clusters, the home network and the internet, against hosts and services."""
    settings = access.lab.settings
    taken: set[str] = set()
    sources = []
    for kind, names in (("person", settings.people), ("host", settings.hosts), ("cluster", settings.clusters)):
        for name in names:
            sources.append(f"{kind}:{name}" if name in taken else name)
            taken.add(name)
    sources += ["lan", "internet"]
    services = [name for name in sorted(access.facts.services) if access.facts.services[name].ports]
    destinations = [*settings.hosts, *(f"service:{name}" if name in taken else name for name in services)]
    verdicts = []
    for each in sources:
        who = source(access, each)
        row = [reach(access, each, host) for host in settings.hosts]
        row += [_of(access, who, name) for name in services]
        verdicts.append(row)
    return Chart(
        tuple(sources), tuple(destinations),
        tuple(tuple(str(v.port or "") if v.reachable else "" for v in row) for row in verdicts),
        tuple(tuple(v.name for v in row) for row in verdicts),
    )  # fmt: skip


def _of(access: Access, who: Source, name: str) -> Verdict:
    """The verdict about a service, without telling why."""
    way = next((way for way in to_service(access, who, name) if not way.missing), None)
    return Verdict(who.name, name, way.port if way else None, way is not None, way.name if way else "", ())
