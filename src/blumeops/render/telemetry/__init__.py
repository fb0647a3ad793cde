"""Telemetry, derived from a lab: Prometheus' configuration and rules, Alloy's, Grafana's data sources and dashboards.

Enters: a View (the lab, and the service whose file it is). Leaves: the file's text in pieces, addresses and paths as
each engine says them. No engine's own words are in here; nothing is secret.
"""

from __future__ import annotations

from blumeops.facts.parts import Text
from blumeops.lab.app import ConfigFile
from blumeops.render.telemetry import alloy, grafana, prometheus, rules
from blumeops.render.telemetry.view import View


def derived(view: View, name: str, file: ConfigFile) -> dict[str, Text]:
    """The files that one entry of an app's `files` becomes, by name: none when it is not derived by this package.
    A folder becomes its files, each by the folder's name and its path there."""
    match file.derived:
        case "scrape":
            return {name: prometheus.configuration(view)}
        case "rules":
            return {name: (rules.rules(view),)}
        case "collector":
            return {name: alloy.configuration(view)}
        case "grafana":
            return {f"{name}/{path}": text for path, text in grafana.provisioning(view, name)}
    return {}
