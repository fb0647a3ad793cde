"""Alloy's configuration: a collector on a host, and one in a cluster.

What both gather, and where it goes, is in ARCHITECTURE's words: a host's collector has the device and its logs, a
cluster's has the pods' logs and asks each service as callers do; metrics go to Prometheus, lines to Loki.
https://grafana.com/docs/alloy/latest/reference/components/
"""

from __future__ import annotations

from collections.abc import Iterable

from blumeops.facts.parts import Text, joined
from blumeops.render.telemetry.alloy import in_cluster, on_host
from blumeops.render.telemetry.alloy.syntax import Block, write
from blumeops.render.telemetry.view import View, origin


def configuration(view: View) -> Text:
    """config.alloy of the view's reader."""
    beside = [each for each in view.services() if view.beside(each)]
    head = f"// Derived from {origin(view.checked, beside)}: change it there.\n\n"
    logging = Block("logging", "", {"level": "info", "format": "logfmt"})
    return joined(head, write([logging, *_made(view)]))


def _made(view: View) -> Iterable[Block]:
    if view.reader.service.host:
        return on_host.blocks(view)
    return () if view.here else in_cluster.blocks(view)  # at `here` a cluster is this machine: the host's is enough
