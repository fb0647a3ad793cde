"""What every collector has: where metrics and lines go, and how targets are scraped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from blumeops.facts.derive import Scrape, ServiceFacts
from blumeops.facts.parts import Address, joined
from blumeops.render.telemetry.alloy.syntax import Block, Raw, Said, Value
from blumeops.render.telemetry.view import SERVICES, View, labels

TO_PROMETHEUS, TO_LOKI = Raw("prometheus.remote_write.lab.receiver"), Raw("loki.write.lab.receiver")
FORMATS = {"logfmt": "stage.logfmt", "json": "stage.json"}
LEVEL = "service, level"


def sinks(view: View) -> Iterator[Block]:
    """Where metrics go, and lines: by the address that works from the collector."""
    metrics, logs = view.metrics_store(), view.log_store()
    if metrics:
        url = joined(view.url(metrics), "/api/v1/write")
        values: dict[str, Value] = {"url": Said(url)}
        yield Block("prometheus.remote_write", "lab", {}, [Block("endpoint", "", values)], "Where metrics go")
    if logs and not view.here:
        url = joined(view.url(logs), "/loki/api/v1/push")
        yield Block("loki.write", "lab", {}, [Block("endpoint", "", {"url": Said(url)})], "Where lines go")


def scrape(name: str, targets: Value, about: str = "", job: str = "", to: Raw = TO_PROMETHEUS, **more: Value) -> Block:
    """A scrape, under a job's name, each 30 seconds."""
    values: dict[str, Value] = {
        "job_name": job or name, "targets": targets, "scrape_interval": "30s", **more, "forward_to": [to],
    }  # fmt: skip
    return Block("prometheus.scrape", name, values, (), about)


def services(view: View, beside: Iterable[ServiceFacts]) -> Iterator[Block]:
    """A scrape of the services that tell metrics, where no Prometheus stands beside them to do it."""
    store = view.metrics_store()
    if store is None or view.beside(store):
        return
    targets = [_target(view, each) for each in view.scrapes(beside)]
    if targets:
        yield scrape(SERVICES, targets, "The services beside this collector, at the addresses that they listen on")


def rule(values: Mapping[str, Value]) -> Block:
    """A rule that changes labels."""
    return Block("rule", "", values)


def fixed(**told: str) -> list[Block]:
    """Rules that give every target the same labels."""
    return [rule({"target_label": label, "replacement": text}) for label, text in told.items()]


def levels(view: View, beside: Iterable[ServiceFacts]) -> Block:
    """Takes the level out of lines whose format says it, so that it is a label: each program has few of them."""
    by_format: dict[str, list[str]] = {}
    for service in beside:
        if service.app.logs.format in FORMATS:
            by_format.setdefault(service.app.logs.format, []).append(service.name)
    stages = [
        Block("stage.match", "", {"selector": f'{{service=~"{"|".join(sorted(names))}"}}'}, [
            Block(FORMATS[form], "", {
                ("mapping" if form == "logfmt" else "expressions"): {"level": "level"},
            }),
            Block("stage.labels", "", {"values": {"level": "level"}}),
        ])
        for form, names in sorted(by_format.items())
    ]  # fmt: skip
    about = "Levels, where the program's format says them"
    return Block("loki.process", "lines", {"forward_to": [TO_LOKI]}, stages, about)


def _target(view: View, each: Scrape) -> dict[str, Value]:
    host, port = Address(each.service, each.port, "host"), Address(each.service, each.port, "port")
    service = view.checked.facts.services[each.service]
    return {"__address__": Said((host, ":", port)), "__metrics_path__": each.path, **labels(service)}
