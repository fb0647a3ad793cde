"""Pieces of a dashboard in Grafana's JSON model: pictures, laid out in rows of two or three, and what they ask.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]

METRICS: Json = {"type": "prometheus", "uid": "blumeops-prometheus"}
LINES: Json = {"type": "loki", "uid": "blumeops-loki"}
SCHEMA = 41
"""The version of the model: newer Grafanas carry it forward when they read it."""
_COLUMNS = 24
_STEPS: dict[str, list[Json]] = {
    "ok": [{"color": "red", "value": None}, {"color": "green", "value": 1}],
    "free": [{"color": "red", "value": None}, {"color": "orange", "value": 0.1}, {"color": "green", "value": 0.2}],
    "none": [{"color": "green", "value": None}],
    "age": [
        {"color": "green", "value": None},
        {"color": "orange", "value": 93_600},
        {"color": "red", "value": 108_000},
    ],
}
"""Colours by value: 1 is well; how much is free; nothing is wrong with any; the age of what is due every day."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, or LogQL for lines; `legend` names a series by its labels: `{{host}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One panel. `wide`: of 24 columns. `colours`: which of the steps above."""

    title: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "logs", "state-timeline"] = "timeseries"
    unit: str = ""
    wide: int = 12
    high: int = 8
    colours: Literal["ok", "free", "none", "age"] = "none"
    about: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the dashboard: the values of a label."""

    name: str
    metric: str
    many: bool = True


def dashboard(
    uid: str, title: str, about: str, pictures: Sequence[Picture], variables: Sequence[Variable] = ()
) -> Json:
    """A dashboard as a file of a provider has it."""
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["blumeops"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [{
            "type": "dashboards", "tags": ["blumeops"], "title": "The lab", "asDropdown": True, "includeVars": True,
            "keepTime": True, "targetBlank": False, "icon": "", "tooltip": "", "url": "",
        }],
        "templating": {"list": [_variable(each) for each in variables]},
        "annotations": {"list": [_alerts()]},
        "panels": _laid_out(pictures),
    }  # fmt: skip


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.name})"
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.name,
        "datasource": METRICS,
        "definition": query,
        "query": {"query": query, "refId": "values"},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": variable.many,
        "includeAll": variable.many,
        **({"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if variable.many else {}),
        "options": [],
        "regex": "",
        "hide": 0,
        "skipUrlSync": False,
    }


def _alerts() -> Json:
    """When alerts fired, as marks in every picture."""
    return {
        "name": "Alerts", "datasource": METRICS, "enable": True, "hide": False, "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing"}', "titleFormat": "{{alertname}}", "textFormat": "{{service}}{{host}}",
    }  # fmt: skip


def _laid_out(pictures: Sequence[Picture]) -> list[Json]:
    """From left to right, and in a new row where the next one has no room."""
    panels: list[Json] = []
    x = y = high = 0
    for number, picture in enumerate(pictures, 1):
        if x + picture.wide > _COLUMNS:
            x, y, high = 0, y + high, 0
        panels.append(_panel(picture, number, {"x": x, "y": y, "w": picture.wide, "h": picture.high}))
        x, high = x + picture.wide, max(high, picture.high)
    return panels


def _panel(picture: Picture, number: int, at: Json) -> Json:
    source = LINES if picture.kind == "logs" else METRICS
    targets = [_target(query, place, source, picture) for place, query in enumerate(picture.queries)]
    return {
        "id": number,
        "type": picture.kind,
        "title": picture.title,
        **({"description": picture.about} if picture.about else {}),
        "datasource": source,
        "gridPos": at,
        "fieldConfig": {"defaults": _defaults(picture), "overrides": []},
        "options": _options(picture),
        "targets": targets,
    }


def _target(query: Query, place: int, source: Json, picture: Picture) -> Json:
    return {
        "refId": chr(ord("A") + place),
        "datasource": source,
        "expr": query.expr,
        **({"legendFormat": query.legend} if query.legend else {}),
        **({"instant": True, "range": False} if picture.kind == "stat" else {}),
    }


def _defaults(picture: Picture) -> Json:
    if picture.kind == "logs":
        return {}
    shown: Json = {"unit": picture.unit} if picture.unit else {}
    if picture.kind == "timeseries":
        return {**shown, "min": 0, "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}}
    words = [{"type": "value", "options": {"0": {"text": "down"}, "1": {"text": "up"}}}]
    colours = {"mode": "absolute", "steps": _STEPS[picture.colours]}
    mapped = {"mappings": words} if picture.colours == "ok" else {}
    return {**shown, **mapped, "color": {"mode": "thresholds"}, "thresholds": colours}


def _options(picture: Picture) -> Json:
    if picture.kind == "timeseries":
        return {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if picture.kind == "state-timeline":
        return {
            "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "never",
        }
    if picture.kind == "logs":
        return {
            "showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending",
            "dedupStrategy": "none", "prettifyLogMessage": False, "showCommonLabels": False, "showLabels": False,
            "showLogContextToggle": False,
        }  # fmt: skip
    return {
        "colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
        "textMode": "auto", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard",
    }  # fmt: skip
