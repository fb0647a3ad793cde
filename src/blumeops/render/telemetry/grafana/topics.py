"""The dashboards: one a topic, and one an app that says what to show of its own metrics.

Each asks by labels for whatever is there, so a new service is in them without a change of any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from blumeops.lab.app import App, Panel
from blumeops.render.telemetry.alerts import REAL
from blumeops.render.telemetry.grafana.panels import Json, Picture, Query, Variable, dashboard
from blumeops.render.telemetry.view import View

_MOST_OF_A_UID = 40
_S, _H = 'service=~"$service"', 'host=~"$host"'
_NO_LOOP = 'device!~"lo.*"'
_FREE_ON_LINUX = f"node_memory_MemAvailable_bytes{{{_H}}} / node_memory_MemTotal_bytes"
_FREE_ON_MACOS = f"(node_memory_free_bytes{{{_H}}} + node_memory_inactive_bytes) / node_memory_total_bytes"


def dashboards(view: View) -> Iterator[tuple[str, Json]]:
    """Each by the name of its file."""
    about = f"Derived from the lab {view.checked.lab.settings.lab} (lab.yaml, services/) by blumeops: change it there."
    yield "hosts", dashboard("blumeops-hosts", "Hosts", about, _HOSTS, [Variable("host", 'up{job="hosts"}')])
    yield "services", dashboard("blumeops-services", "Services", about, _SERVICES, [Variable("service", "up")])
    yield (
        "databases",
        dashboard("blumeops-databases", "Databases", about, _DATABASES, [Variable("service", "cnpg_collector_up")]),
    )
    yield "backups", dashboard("blumeops-backups", "Backups", about, _BACKUPS)
    yield "loop", dashboard("blumeops-loop", "The loop", about, _LOOP)
    apps: dict[str, App] = {each.app.app: each.app for each in view.services()}
    for name in sorted(apps):
        app = apps[name]
        if app.metrics and app.metrics.panels:
            told = f'{{app="{name}"}}'
            yield f"app-{name}", dashboard(
                uid(name), app.about or name, about, [_own(each) for each in app.metrics.panels] + [_LINES_OF_ONE],
                [Variable("service", f"up{told}", many=False)],
            )  # fmt: skip


def uid(app: str) -> str:
    """Of an app's dashboard, which Grafana takes up to forty characters long."""
    whole = f"blumeops-app-{app}"
    if len(whole) <= _MOST_OF_A_UID:
        return whole
    return f"{whole[: _MOST_OF_A_UID - 9]}-{hashlib.sha256(app.encode()).hexdigest()[:8]}"


def _own(panel: Panel) -> Picture:
    return Picture(panel.title, (Query(panel.query, panel.legend),), unit=panel.unit, wide=8)


_LINES = Picture("Lines", (Query(f'{{job="logs", {_S}}}'),), "logs", wide=24, high=12)
_LINES_OF_ONE = Picture("Lines", (Query('{job="logs", service="$service"}'),), "logs", wide=24, high=12)

_HOSTS = (
    Picture("Up", (Query(f'up{{job="hosts", {_H}}}', "{{host}}"),), "stat", wide=24, high=4, colours="ok"),
    Picture(
        "Processors, busy",
        (Query(f'1 - avg by (host) (rate(node_cpu_seconds_total{{mode="idle", {_H}}}[5m]))', "{{host}}"),),
        unit="percentunit",
    ),
    Picture("Load", (Query(f"node_load5{{{_H}}}", "{{host}}"),)),
    Picture(
        "Memory, free", (Query(_FREE_ON_LINUX, "{{host}}"), Query(_FREE_ON_MACOS, "{{host}}")), unit="percentunit",
        about="What programs could have: Linux says it, of macOS what is free and inactive.",
    ),
    Picture(
        "Disks, free",
        (
            Query(
                f"node_filesystem_avail_bytes{{{REAL}, {_H}}} / node_filesystem_size_bytes", "{{host}} {{mountpoint}}"
            ),
        ),
        unit="percentunit",
    ),
    Picture(
        "Network, in and out",
        (
            Query(f"sum by (host) (rate(node_network_receive_bytes_total{{{_NO_LOOP}, {_H}}}[5m]))", "{{host}} in"),
            Query(f"sum by (host) (rate(node_network_transmit_bytes_total{{{_NO_LOOP}, {_H}}}[5m]))", "{{host}} out"),
        ),
        unit="Bps",
    ),
    Picture(
        "Disks, read and written",
        (
            Query(f"sum by (host) (rate(node_disk_read_bytes_total{{{_H}}}[5m]))", "{{host}} read"),
            Query(f"sum by (host) (rate(node_disk_written_bytes_total{{{_H}}}[5m]))", "{{host}} written"),
        ),
        unit="Bps",
    ),
)  # fmt: skip

_SERVICES = (
    Picture(
        "Answers by its name", (Query(f"probe_success{{{_S}}}", "{{service}}"),), "state-timeline", wide=24, high=9,
        colours="ok",
    ),
    Picture("Tells metrics", (Query(f'min by (service) (up{{{_S}}})', "{{service}}"),), "stat", wide=24, high=5,
            colours="ok"),
    Picture("Time to answer", (Query(f"probe_duration_seconds{{{_S}}}", "{{service}}"),), unit="s"),
    Picture(
        "Certificate, left", (Query(f"probe_ssl_earliest_cert_expiry{{{_S}}} - time()", "{{service}}"),), unit="s"
    ),
    Picture(
        "Memory",
        (
            Query(f"sum by (service) (container_memory_working_set_bytes{{{_S}}})", "{{service}}"),
            Query(f'max by (service) (process_resident_memory_bytes{{host!="", {_S}}})', "{{service}}"),
        ),
        unit="bytes",
    ),
    Picture(
        "Processors",
        (
            Query(f"sum by (service) (rate(container_cpu_usage_seconds_total{{{_S}}}[5m]))", "{{service}}"),
            Query(f'max by (service) (rate(process_cpu_seconds_total{{host!="", {_S}}}[5m]))', "{{service}}"),
        ),
    ),
    Picture(
        "Starts within an hour",
        (
            Query(f"max by (service) (changes(container_start_time_seconds{{{_S}}}[1h]))", "{{service}}"),
            Query(f'max by (service) (changes(process_start_time_seconds{{host!="", {_S}}}[1h]))', "{{service}}"),
        ),
    ),
    Picture(
        "Volumes, free",
        (
            Query(
                f"kubelet_volume_stats_available_bytes{{{_S}}} / kubelet_volume_stats_capacity_bytes",
                "{{service}} {{persistentvolumeclaim}}",
            ),
        ),
        unit="percentunit",
    ),
    _LINES,
)  # fmt: skip

_DATABASES = (
    Picture("PostgreSQL answers", (Query(f"cnpg_collector_up{{{_S}}}", "{{pod}}"),), "stat", wide=24, high=4,
            colours="ok"),
    Picture("Size", (Query(f"cnpg_pg_database_size_bytes{{{_S}}}", "{{datname}}"),), unit="bytes"),
    Picture("Connections", (Query(f"sum by (usename) (cnpg_backends_total{{{_S}}})", "{{usename}}"),)),
    Picture(
        "Transactions",
        (Query(f"sum by (datname) (rate(cnpg_pg_stat_database_xact_commit{{{_S}}}[5m]))", "{{datname}}"),), unit="ops",
    ),
    Picture("Longest transaction", (Query(f"max by (datname) (cnpg_backends_max_tx_duration_seconds{{{_S}}})",
                                          "{{datname}}"),), unit="s"),
    _LINES,
)  # fmt: skip

_BACKUPS = (
    Picture(
        "Since the last one that ended well",
        (Query("time() - blumeops_backup_last_success_timestamp_seconds", "{{service}} of {{host}}"),),
        "stat", unit="s", wide=24, high=5, colours="age",
    ),
    Picture(
        "Their times", (Query("time() - blumeops_backup_last_success_timestamp_seconds", "{{service}} of {{host}}"),),
        unit="s", wide=24,
    ),
    Picture("Lines", (Query('{job="logs", app="borgmatic"}'),), "logs", wide=24, high=12),
)  # fmt: skip

_LOOP = (
    Picture("As its repository says", (Query("blumeops_settled", "settled"),), "stat", wide=8, high=5, colours="ok"),
    Picture("The last sync", (Query("blumeops_last_sync_ok", "whole"),), "stat", wide=8, high=5, colours="ok"),
    Picture("The last look", (Query("time() - blumeops_look_timestamp_seconds", "ago"),), "stat", "s", 8, 5),
    Picture("Units", (Query("blumeops_unit_healthy", "{{service}}"),), "state-timeline", wide=24, colours="ok"),
    Picture("A sync takes", (Query("blumeops_last_sync_duration_seconds", "seconds"),), unit="s"),
    Picture(
        "The disk with the state, free",
        (Query("blumeops_state_available_bytes / blumeops_state_size_bytes", "free"),), unit="percentunit",
    ),
    Picture(
        "Argo CD's applications, by state",
        (Query("count by (sync_status, health_status) (argocd_app_info)", "{{sync_status}}, {{health_status}}"),),
    ),
    Picture("Syncs of Argo CD", (Query("sum by (phase) (increase(argocd_app_sync_total[1h]))", "{{phase}}"),)),
    Picture("Alerts", (Query('ALERTS{alertstate="firing"}', "{{alertname}} {{service}}{{host}}"),), wide=24),
)  # fmt: skip
