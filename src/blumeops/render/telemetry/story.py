"""What is measured of a service, told: who scrapes it, who asks for it, where its lines are, what shows it."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.checks.check import CheckedLab
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.story import Told
from blumeops.render.telemetry.grafana.topics import uid
from blumeops.render.telemetry.probes import probes
from blumeops.render.telemetry.view import LOGS, Derived, View, derives

Where = tuple[str | None, str | None]


class Measured:
    """What is looked up for each service of a lab: so that one more costs the same as the first."""

    def __init__(self, checked: CheckedLab) -> None:
        self.checked = checked
        services = checked.facts.services
        self.services = [services[name] for name in sorted(services)]
        self.scraped = {scrape.service for scrape in checked.facts.scrapes}
        self.collectors, self.readers = self._by_place("collector"), self._by_place("scrape")
        self.grafana = next((each for each in self.services if derives(each, "grafana")), None)
        self.loki = next((each for each in self.services if each.app.app == "loki"), None)
        self.asked: dict[str, list[tuple[str, ServiceFacts]]] = {}
        for (_, cluster), each in self.collectors.items():
            for probe in probes(View(checked, each), each) if cluster else ():
                told = "".join(part for part in probe.target if isinstance(part, str))
                what = told if probe.module.startswith("http") else "a connection to its port"
                self.asked.setdefault(probe.service.name, []).append((what, each))

    def tell(self, name: str) -> list[Told]:
        """At site `home`, in a fixed order; each from where the one that does it is described."""
        return list(self._tell(self.checked.facts.services[name]))

    def _by_place(self, what: Derived) -> dict[Where, ServiceFacts]:
        found: dict[Where, ServiceFacts] = {}
        for each in self.services:
            if derives(each, what):
                found.setdefault((each.service.host, each.service.cluster), each)
        return found

    def _tell(self, service: ServiceFacts) -> Iterator[Told]:
        at, place = (service.service.host, service.service.cluster), self.checked.lab.service_place
        collector = self.collectors.get(at)
        reader = self.readers.get(at) or collector
        if reader and service.name in self.scraped:
            yield Told("scraped by", reader.name, place(reader.name))
        for what, asker in self.asked.get(service.name, ()):
            yield Told("asked", f"{what}, by {asker.name}", place(asker.name))
        if collector and self.loki:
            lines = f'{{job="{LOGS}", service="{service.name}"}} in {self.loki.name}, by {collector.name}'
            yield Told("lines", lines, place(collector.name))
        if self.grafana:
            own = service.app.metrics is not None and bool(service.app.metrics.panels)
            shown = f"blumeops-services{f', {uid(service.app.app)}' if own else ''}"
            yield Told("dashboards", shown, place(self.grafana.name))
