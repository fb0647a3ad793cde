"""What should tell metrics, by its labels: the other half of "it is down" is "nobody heard of it".

Only what some scrape of the rendered files reaches is expected: an alert about metrics that nobody gathers would never
end.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.facts.derive import ServiceFacts
from blumeops.render.telemetry.probes import probes
from blumeops.render.telemetry.view import BACKUPS, HOSTS, PROBES, SERVICES, View, labels, place


def expected(view: View) -> Iterator[dict[str, str]]:
    """The labels, `job` among them, of each target that is always there, in the order of names."""
    stores = {view.reader.name, *(each.name for each in view.services() if view.beside(each))}
    for scrape in view.checked.facts.scrapes:
        service = view.checked.facts.services[scrape.service]
        if service.name in stores or (view.collected(service) and not service.service.cluster):
            yield {"job": SERVICES} | labels(service)
    for collector in view.collectors.values():
        if collector.service.host:
            yield {"job": HOSTS} | place(collector)
        else:
            yield from ({"job": PROBES} | labels(probe.service) for probe in probes(view, collector))


def with_backups(view: View) -> Iterator[dict[str, str]]:
    """The labels of each job of backups whose file of metrics a collector reads."""
    return ({"job": BACKUPS} | labels(service) for service in view.services() if tells_by_file(view, service))


def tells_by_file(view: View, service: ServiceFacts) -> bool:
    """Whether the service writes a file of metrics that a collector on its host reads."""
    metrics = service.app.metrics
    return bool(metrics and metrics.folder and service.service.host and view.collected(service))
