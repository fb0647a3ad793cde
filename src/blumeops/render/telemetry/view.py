"""From where a service sees the lab, and under which labels all that is watched is known.

Enters: a checked lab and the service that reads (Prometheus, a collector, Grafana). Leaves: who stands beside it, by
which address it reaches another, and the labels of each. The same labels stand on metrics, logs, alerts and
dashboards (docs/reference/telemetry.md): `job`, `service` with `app`, and `host` or `cluster`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from blumeops.checks.check import CheckedLab
from blumeops.facts.derive import Scrape, ServiceFacts
from blumeops.facts.parts import Address, Text

SERVICES, PROBES, HOSTS, PLATFORM, DATABASES, KUBELET, LOOP = (
    "services", "probes", "hosts", "platform", "databases", "kubelet", "loop",
)  # fmt: skip
"""The jobs: metrics that services tell, names that are asked as callers do, devices, parts of a cluster, databases by
their operator, pods and volumes by their node, and the loop that applies the lab."""
BACKUPS = "backups"
"""No job of a scrape: what is expected of a job that writes a file of metrics."""
LOGS = "logs"
"""The job of each line of a log."""

Derived = Literal["scrape", "rules", "collector", "grafana"]


@dataclass(frozen=True)
class View:
    """`here`: all is on this machine, and what runs is told by files and by the loop, not by the description."""

    checked: CheckedLab
    reader: ServiceFacts
    here: bool = False

    def services(self) -> Iterator[ServiceFacts]:
        """All services, by name."""
        found = self.checked.facts.services
        return (found[name] for name in sorted(found))

    def beside(self, other: ServiceFacts) -> bool:
        """Whether it is in the same cluster, or on the same host as a process."""
        own, its = self.reader.service, other.service
        return self.here or (own.host, own.cluster) == (its.host, its.cluster)

    def scrapes(self, services: Iterable[ServiceFacts]) -> list[Scrape]:
        """The metrics that these tell."""
        names = {service.name for service in services}
        return [scrape for scrape in self.checked.facts.scrapes if scrape.service in names]

    @cached_property
    def collectors(self) -> dict[tuple[str | None, str | None], ServiceFacts]:
        """By host and cluster: who collects there."""
        return {
            (each.service.host, each.service.cluster): each
            for each in self.services()
            if derives(each, "collector")
        }  # fmt: skip

    def collected(self, service: ServiceFacts) -> bool:
        """Whether a collector stands beside the service."""
        return (service.service.host, service.service.cluster) in self.collectors

    def metrics_store(self) -> ServiceFacts | None:
        """The Prometheus to which metrics go: the one beside, else the first."""
        return self._nearest(each for each in self.services() if derives(each, "scrape"))

    def log_store(self) -> ServiceFacts | None:
        """The Loki to which lines of logs go."""
        return self._nearest(each for each in self.services() if each.app.app == "loki")

    def _nearest(self, services: Iterable[ServiceFacts]) -> ServiceFacts | None:
        found = sorted(services, key=lambda each: (not self.beside(each), each.name))
        return found[0] if found else None

    def url(self, service: ServiceFacts, port: str = "http") -> Text:
        """The address by which the reader calls a service: past the proxy only where both are beside each other.

        The proxy's names resolve everywhere, those of the tailnet do not resolve in pods.
        """
        if not self.beside(service) and service.machine_url and port == "http":
            return (service.machine_url,)
        return ("http://", Address(service.name, port, "host"), ":", Address(service.name, port, "port"))


def derives(service: ServiceFacts, what: Derived) -> bool:
    """Whether one of the app's files is derived so."""
    return any(file.derived == what for file in service.app.files.values())


def labels(service: ServiceFacts) -> dict[str, str]:
    """What a service is known by, on each of its metrics and lines."""
    return {"service": service.name, "app": service.app.app} | place(service)


def place(service: ServiceFacts) -> dict[str, str]:
    """Where it is: one of the two."""
    described = service.service
    return {"host": described.host} if described.host else {"cluster": described.cluster or ""}


def origin(checked: CheckedLab, services: Iterable[ServiceFacts] = ()) -> str:
    """Words for the first line of a derived file: from which files of the lab it is."""
    files = {checked.lab.service_files[service.name] for service in services}
    return ", ".join(["lab.yaml", *sorted(files)]).replace("\n", " ")
