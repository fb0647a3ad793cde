"""What Prometheus watches, and which rules it keeps, as its configuration.

A target has the labels of `view.labels`; Prometheus takes the path from `__metrics_path__`. It scrapes what is beside
it. What is elsewhere comes by remote write from the collector there: services of a host listen on its loopback.
https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

import json

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Address, FilePath, TargetFiles, Text, joined
from blumeops.render.telemetry.view import LOOP, SERVICES, View, labels, origin

_GLOBAL = """\
global:
  scrape_interval: 15s
  evaluation_interval: 15s
"""


def configuration(view: View) -> Text:
    """prometheus.yml."""
    if view.here:
        return joined(f"# Derived from {origin(view.checked)}: change it there\n", _head(view), *_here(view))
    beside = [view.checked.facts.services[each.service] for each in view.scrapes(filter(view.beside, view.services()))]
    head = f"# Derived from {origin(view.checked, beside)}: change it there\n"
    return joined(head, _head(view), *_targets(view, beside), *_elsewhere(view))


def _head(view: View) -> Text:
    rules = [name for name, file in view.reader.app.files.items() if file.derived == "rules"]
    named: list[Text | str] = [("  - '", FilePath(name), "'\n") for name in rules]
    begun: list[Text | str] = ["rule_files:\n", *named] if named else []
    return joined(_GLOBAL, *begun, f"scrape_configs:\n  - job_name: {SERVICES}\n")


def _here(view: View) -> list[Text | str]:
    """Targets in files of Prometheus' `file_sd` format, which it watches by itself; and the loop, at its own port."""
    loop = f"127.0.0.1:{view.checked.lab.settings.here.forge}"
    return [
        "    file_sd_configs:\n      - files: ['", (TargetFiles(),), "']\n",
        f"  - job_name: {LOOP}\n    static_configs:\n      - targets: ['{loop}']\n",
    ]  # fmt: skip


def _targets(view: View, services: list[ServiceFacts]) -> list[Text | str]:
    if not services:
        return ["    static_configs: []\n"]
    found: list[Text | str] = ["    static_configs:\n"]
    for scrape in view.scrapes(services):
        service = view.checked.facts.services[scrape.service]
        host, port = Address(scrape.service, scrape.port, "host"), Address(scrape.service, scrape.port, "port")
        told = json.dumps({**labels(service), "__metrics_path__": scrape.path})
        found += ["      - targets: ['", (host, ":", port), f"']\n        labels: {told}\n"]
    return found


def _elsewhere(view: View) -> list[Text | str]:
    """Who scrapes the others, as comments: what nobody scrapes is said too."""
    lines = []
    for scrape in view.checked.facts.scrapes:
        service = view.checked.facts.services[scrape.service]
        if view.beside(service):
            continue
        collector = view.collectors.get((service.service.host, service.service.cluster))
        how = f"by {collector.name}, which writes here" if collector else "by nobody: no collector is beside it"
        lines.append(f"# {scrape.service} is scraped {how}.\n")
    return ["".join(lines)] if lines else []
