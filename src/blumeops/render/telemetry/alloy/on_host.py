"""The collector of a host: the device, its services, the files of metrics that jobs leave, and the lines of logs.

Lines are where the host's roles have them written: in the journal on Linux, in a file a service on macOS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import image_alone
from blumeops.facts.parts import LogFile, StateFolder
from blumeops.render.telemetry.alloy import common
from blumeops.render.telemetry.alloy.syntax import Block, Raw, Said, Value
from blumeops.render.telemetry.expected import tells_by_file
from blumeops.render.telemetry.view import HOSTS, LOGS, SERVICES, View, labels

MACOS_COLLECTORS = ["boottime", "cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "textfile", "time"]
"""Those of node_exporter's that macOS has, less the thermal one, which only some Macs let read."""


def blocks(view: View) -> Iterator[Block]:
    """The configuration of the collector that is the view's reader."""
    host = view.reader.service.host or ""
    system = view.checked.lab.settings.hosts[host].os
    beside = [each for each in view.services() if view.beside(each) and _runs(each, system)]
    yield from _device(host, system)
    if not view.here:  # there Prometheus has the targets itself, and lines are the console's
        yield from _files(view, beside)
        yield from common.services(view, beside)
        if view.log_store():
            yield from _journal(beside, host) if system != "macos" else _log_files(beside)
            yield common.levels(view, beside)
    yield from common.sinks(view)


def _runs(service: ServiceFacts, system: str) -> bool:
    """Whether the host's roles keep it running: a program, or an image, which only Linux hosts run."""
    return bool(service.app.command) or (system == "linux" and image_alone(service.app))


def _device(host: str, system: str) -> Iterator[Block]:
    """The metrics of node_exporter, under the name by which the lab knows the device."""
    values: dict[str, Value] = {"set_collectors": MACOS_COLLECTORS} if system == "macos" else {}
    yield Block("prometheus.exporter.unix", "device", values, (), f"The device itself: hosts.{host} in lab.yaml")
    yield Block(
        "discovery.relabel", "device", {"targets": Raw("prometheus.exporter.unix.device.targets")},
        common.fixed(job=HOSTS, instance=host, host=host),
    )  # fmt: skip
    yield common.scrape(HOSTS, Raw("discovery.relabel.device.output"))


def _files(view: View, beside: list[ServiceFacts]) -> Iterator[Block]:
    """An exporter a service that leaves files: so that each has the labels of who wrote it."""
    for service in beside:
        metrics = service.app.metrics
        if not tells_by_file(view, service) or not metrics or not metrics.folder:
            continue
        name = identifier(f"{service.name}_files")
        folder = Block("textfile", "", {"directory": Said((StateFolder(service.name, metrics.folder),))})
        about = f"What {service.name} leaves in files, in {view.checked.lab.service_files[service.name]}"
        yield Block("prometheus.exporter.unix", name, {"set_collectors": ["textfile"]}, [folder], about)
        told = {**labels(service), "job": SERVICES, "instance": service.name}
        targets: dict[str, Value] = {"targets": Raw(f"prometheus.exporter.unix.{name}.targets")}
        yield Block("discovery.relabel", name, targets, common.fixed(**told))
        yield common.scrape(name, Raw(f"discovery.relabel.{name}.output"), job=SERVICES)


def _journal(beside: list[ServiceFacts], host: str) -> Iterator[Block]:
    """One reader of the journal: of the units that are the lab's services, each by its name."""
    units = "|".join(each.name for each in beside)
    unit: dict[str, Value] = {"source_labels": ["__journal__systemd_unit"]}
    rules = [
        common.rule({**unit, "regex": f"({units})\\.service", "action": "keep"}),
        common.rule({**unit, "regex": "(.+)\\.service", "target_label": "service"}),
        common.rule({**unit, "regex": "(.+)\\.service", "target_label": "app"}),
    ]
    rules += [
        common.rule({
            **unit, "regex": f"{each.name}\\.service", "target_label": "app",
            "replacement": each.app.app,
        })
        for each in beside if each.app.app != each.name
    ]  # fmt: skip
    yield Block("loki.relabel", "journal", {"forward_to": []}, rules)
    yield Block("loki.source.journal", "services", {
        "relabel_rules": Raw("loki.relabel.journal.rules"),
        "labels": {"job": LOGS, "host": host},
        "forward_to": [Raw("loki.process.lines.receiver")],
    }, (), "The journal, as systemd keeps it of the services' units")  # fmt: skip


def _log_files(beside: list[ServiceFacts]) -> Iterator[Block]:
    """The files that launchd writes."""
    paths: list[Value] = [
        {"__path__": Said((LogFile(each.name),)), "job": LOGS, **labels(each)} for each in beside
    ]  # fmt: skip
    yield Block("local.file_match", "logs", {"path_targets": paths}, (), "The files to which launchd writes")
    yield Block("loki.source.file", "logs", {
        "targets": Raw("local.file_match.logs.targets"), "forward_to": [Raw("loki.process.lines.receiver")],
    })  # fmt: skip


def identifier(text: str) -> str:
    """A label of a block: letters, digits and _."""
    return re.sub(r"\W", "_", text)
