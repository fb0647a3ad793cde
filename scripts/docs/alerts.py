"""The alerts and the dashboards as tables, from what is rendered for the example."""

from __future__ import annotations

from pathlib import Path

from blumeops.checks.check import check_folder
from blumeops.render.telemetry.grafana.topics import dashboards
from blumeops.render.telemetry.rules import groups
from blumeops.render.telemetry.view import View

LAB = Path(__file__).resolve().parents[2] / "labs" / "blumeops"


def _view() -> View:
    checked = check_folder(LAB).passed
    assert checked
    return View(checked, checked.facts.services["prometheus"])


def alerts() -> str:
    """Each alert: after which time, how bad, what it says and what to do."""
    lines = ["| alert | after | severity | says | what to do |", "| --- | --- | --- | --- | --- |"]
    for _, group in groups(_view()):
        lines += [
            f"| `{each.name}` | {each.after} | {each.severity} | {_cell(each.description)} | {_cell(each.runbook)} |"
            for each in group
        ]
    return "\n".join(lines)


def pictures() -> str:
    """Each dashboard of the example, and the titles of its pictures."""
    lines = ["| dashboard | uid | shows |", "| --- | --- | --- |"]
    for _, told in dashboards(_view()):
        titles = "; ".join(panel["title"] for panel in told["panels"])
        lines.append(f"| {told['title']} | `{told['uid']}` | {_cell(titles)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A template of Prometheus as `…`: what stands there, the alert says."""
    parts = text.split("{{")
    plain = parts[0] + "".join("…" + part.partition("}}")[2] for part in parts[1:])
    return plain.replace("|", "\\|").replace("<", "&lt;")
