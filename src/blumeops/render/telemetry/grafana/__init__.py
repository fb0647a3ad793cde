"""Grafana's provisioning: data sources, and dashboards with the provider that reads them; a folder of files.

https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import to_json

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import FilePath, Text, joined
from blumeops.render.telemetry.grafana.panels import LINES, METRICS, Json
from blumeops.render.telemetry.grafana.topics import dashboards
from blumeops.render.telemetry.view import View, origin


def provisioning(view: View, folder: str) -> Iterator[tuple[str, Text]]:
    """The files below the folder that an app calls `folder`, by their paths."""
    head = f"# Derived from {origin(view.checked)} and services/: change it there\napiVersion: 1\n"
    yield "datasources/lab.yaml", joined(head, "prune: true\ndatasources:\n", *_sources(view))
    yield "dashboards/lab.yaml", joined(
        head, "providers:\n  - name: blumeops\n    folder: BlumeOps\n    type: file\n    disableDeletion: true\n",
        "    updateIntervalSeconds: 30\n    options: {path: '", (FilePath(folder),), "/dashboards'}\n",
    )  # fmt: skip
    for name, told in dashboards(view):
        yield f"dashboards/{name}.json", (to_json(told, indent=2).decode() + "\n",)  # json takes ten times as long
    for name, text in sorted(view.checked.lab.dashboards.items()):
        yield f"dashboards/own-{name}.json", (text,)


def _sources(view: View) -> Iterator[Text | str]:
    for source, service, main in ((METRICS, view.metrics_store(), True), (LINES, view.log_store(), False)):
        if service is not None:
            yield from _source(view, source, service, main)


def _source(view: View, source: Json, service: ServiceFacts, main: bool) -> Iterator[Text | str]:
    yield f"  # {service.name}, in {view.checked.lab.service_files[service.name]!r}\n"
    yield f"  - name: {service.app.app}\n    type: {source['type']}\n    uid: {source['uid']}\n    access: proxy\n"
    yield joined('    url: "', view.url(service), '"\n')
    yield f"    isDefault: {'true' if main else 'false'}\n    editable: false\n"
