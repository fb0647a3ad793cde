"""A case for each alert in which it fires, and one in which it does not: series as promtool writes them.

Values: `1x10` is 1 and ten more of the same, a minute apart; `0+60x10` goes up by 60; `_` is no value.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WEB = 'service="web",app="web",cluster="pods"'
DISK = 'host="box",mountpoint="/",fstype="ext4"'
EXPECTED = f'blumeops_expected{{job="services",{WEB}}}'


@dataclass(frozen=True)
class Case:
    """`at`: minutes from the start; `who`: a label of the alert that fires, and its value."""

    fires: Mapping[str, str]
    quiet: Mapping[str, str]
    at: int
    who: tuple[str, str]


def one(series: str, fires: str, quiet: str, at: int, label: str = "service", value: str = "web") -> Case:
    """A case that is about one series."""
    return Case({series: fires}, {series: quiet}, at, (label, value))


UP = f'up{{job="services",{WEB}}}'
PROBE = f'{{job="probes",instance="https://web.example.org/",{WEB}}}'
START = f"process_start_time_seconds{{{WEB}}}"
SIZE = f"node_filesystem_size_bytes{{{DISK}}}"
AVAILABLE = f"node_filesystem_avail_bytes{{{DISK}}}"
CLAIM = '{persistentvolumeclaim="data-0",service="web"}'
CAPACITY, FREE = f"kubelet_volume_stats_capacity_bytes{CLAIM}", f"kubelet_volume_stats_available_bytes{CLAIM}"
BACKUP = 'blumeops_backup_last_success_timestamp_seconds{service="borg",host="box"}'
APP = 'argocd_app_info{name="web",sync_status="%s",health_status="%s"}'
CONNECTIONS = 'cnpg_backends_total{service="pg",pod="pg-1",usename="%s"}'
MOST = 'cnpg_pg_settings_setting{service="pg",pod="pg-1",name="max_connections"}'
SECRET = 'externalsecret_status_condition{condition="Ready",status="False",namespace="web",name="env"}'
ALLOY = 'service="alloy",host="box"'

CASES: dict[str, Case] = {
    # Down for two minutes fires; a scrape that is missed once does not.
    "Down": one(UP, "1 1 0x9", "1 1 0 1x7", 8),
    "Absent": Case({EXPECTED: "1x20"}, {EXPECTED: "1x20", UP: "0x20"}, 12, ("service", "web")),
    "ProbeFailing": one(f"probe_success{PROBE}", "1 0x9", "1 0 0 1x7", 8),
    "ProbeSlow": one(f"probe_duration_seconds{PROBE}", "3x40", "0.2x20 9 0.2x20", 35),
    # A new start every six minutes; one that was started once.
    "RestartLoop": one(START, "1x5 2x5 3x5 4x5 5x5 6x5 7x5", "1x20 2x20", 35),
    "DatabaseDown": one('cnpg_collector_up{service="pg",pod="pg-1"}', "0x9", "1x9", 5, "pod", "pg-1"),
    "DatabaseConnections": Case(
        {CONNECTIONS % "a": "60x20", CONNECTIONS % "b": "25x20", MOST: "100x20"},
        {CONNECTIONS % "a": "60x20", CONNECTIONS % "b": "15x20", MOST: "100x20"}, 15, ("pod", "pg-1"),
    ),
    "SecretNotDelivered": one(SECRET, "1x30", "0x30", 20, "name", "env"),
    "CertificateExpiring": one(f"probe_ssl_earliest_cert_expiry{PROBE}", "1728000x90", "2592000x90", 80),
    "DiskNearlyFull": Case(
        {SIZE: "100x30", AVAILABLE: "9x30"}, {SIZE: "100x30", AVAILABLE: "11x30"}, 20, ("host", "box")
    ),
    # A tenth of a byte a minute of 100 from 100 in seven hours to 28 in twelve; and one that stands still.
    "DiskFilling": Case(
        {SIZE: "100x900", AVAILABLE: "100-0.1x900"}, {SIZE: "100x900", AVAILABLE: "25x900"}, 850, ("host", "box")
    ),
    "VolumeNearlyFull": Case(
        {CAPACITY: "100x30", FREE: "5x30"}, {CAPACITY: "100x30", FREE: "50x30"},
        20, ("service", "web"),
    ),
    "StateNearlyFull": Case(
        {"blumeops_state_size_bytes": "100x30", "blumeops_state_available_bytes": "5x30"},
        {"blumeops_state_size_bytes": "100x30", "blumeops_state_available_bytes": "50x30"},
        20, ("severity", "critical"),
    ),
    # The clock starts at 0: a backup of then is 33 hours old after 1980 minutes, one of the day after is not.
    "BackupOld": one(BACKUP, "0x2000", "0x1440 86400x600", 1980, "service", "borg"),
    "BackupMissing": Case(
        {'blumeops_expected_backup{service="borg",host="box"}': "1x2000"},
        {'blumeops_expected_backup{service="borg",host="box"}': "1x2000", BACKUP: "0x2000"}, 1700, ("service", "borg"),
    ),
    "LoopDown": one('up{job="loop"}', "0x9", "1x9", 5, "job", "loop"),
    "LoopStuck": one("blumeops_look_timestamp_seconds", "0x30", "0+60x30", 25, "severity", "critical"),
    "LoopBehind": one("blumeops_settled", "0x40", "0x10 1 0x10 1x18", 20, "severity", "warning"),
    "UnitUnhealthy": one('blumeops_unit_healthy{service="web"}', "0x9", "1x9", 5),
    # One that never ended well; one that did within the day, and is older than that.
    "JobLate": Case(
        {'blumeops_job_since_timestamp_seconds{service="borg"}': "0x2000"},
        {
            'blumeops_job_since_timestamp_seconds{service="borg"}': "0x2000",
            'blumeops_job_last_success_timestamp_seconds{service="borg"}': "_x1000 60000x1000",
        },
        1980, ("service", "borg"),
    ),
    "ApplicationUnhealthy": Case(
        {APP % ("Synced", "Degraded"): "1x20"}, {APP % ("Synced", "Progressing"): "1x20"}, 15, ("name", "web")
    ),
    "ApplicationOutOfSync": Case(
        {APP % ("OutOfSync", "Healthy"): "1x50"}, {APP % ("Synced", "Healthy"): "1x50"}, 40, ("name", "web")
    ),
    "MetricsLost": one(
        f"prometheus_remote_storage_samples_failed_total{{{ALLOY}}}", "0+5x40", "7x40", 30, "host", "box"
    ),
    "LogsLost": one(f"loki_write_dropped_entries_total{{{ALLOY}}}", "0+5x40", "7x40", 30, "host", "box"),
    "RulesFailing": one(f"prometheus_config_last_reload_successful{{{WEB}}}", "0x20", "1x20", 15),
}  # fmt: skip
