"""What Prometheus watches, as its configuration: where the targets are, each engine says.

A target has the labels `service` and `app`; Prometheus takes the path from `__metrics_path__`.
https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

import json

from blumeops.facts.derive import Scrape
from blumeops.facts.parts import Address, Text, joined

HEAD = """\
global:
  scrape_interval: 15s
scrape_configs:
  - job_name: services
"""


def from_files(pattern: Text) -> Text:
    """Targets in files of Prometheus' `file_sd` format, which it watches by itself."""
    return joined(HEAD, "    file_sd_configs:\n      - files: ['", pattern, "']\n")


def from_addresses(scrapes: list[Scrape]) -> Text:
    """Targets at the addresses by which the reader reaches them."""
    targets: list[Text | str] = []
    for scrape in scrapes:
        host, port = Address(scrape.service, scrape.port, "host"), Address(scrape.service, scrape.port, "port")
        targets += ["      - targets: ['", (host, ":", port), f"']\n        labels: {json.dumps(labels(scrape))}\n"]
    return joined(HEAD, *(["    static_configs:\n", *targets] if targets else ["    static_configs: []\n"]))


def labels(scrape: Scrape) -> dict[str, str]:
    """The labels of a target."""
    return {"service": scrape.service, "app": scrape.app, "__metrics_path__": scrape.path}
