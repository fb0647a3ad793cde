"""The alerts: what is wrong, when somebody should know, and what to do then.

They name no service: a rule is about whatever has the labels, so that a service that comes or goes changes none of
them. Every series is one that a program of the lab is known to tell (docs/reference/telemetry.md names the sources),
and tests/telemetry holds each alert against a case in which it fires and one in which it does not.
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EXPECTED = "blumeops_expected"
"""One for each thing that should tell metrics, with its labels: what is not there at all cannot say that it is down."""


@dataclass(frozen=True, slots=True)
class Alert:
    """`after`: how long the expression must hold. The texts are Prometheus' templates, over the result's labels."""

    name: str
    expr: str
    after: str
    severity: Literal["critical", "warning"]
    summary: str
    description: str
    runbook: str


_WHO = "{{ or $labels.service $labels.host $labels.cluster $labels.job }}"
"""The one whom an alert is about: Prometheus takes a label that is not there for an empty text."""
REAL = 'fstype!~"tmpfs|devfs|devtmpfs|overlay|squashfs|autofs|nullfs|ramfs|iso9660", mountpoint!~"/System/.*|/boot.*"'
"""File systems that somebody can fill. Of a Mac's volumes the one with the data is enough: they share their space."""

SERVICES = (
    Alert(
        "Down", 'up{job=~"services|platform|databases|hosts"} == 0', "2m", "critical",
        f"{_WHO} tells no metrics",
        "Its metrics could not be read for two minutes: it is down, or does not answer whom it should.",
        "blumeops status, then blumeops logs SERVICE (in a cluster: kubectl -n SERVICE get pods; on a host: its log).",
    ),
    Alert(
        "Absent", f"{EXPECTED} unless on (job, service, host, cluster) up", "5m", "critical",
        f"nobody hears of {_WHO}",
        "The lab describes it, but no scrape of it arrived for five minutes: its collector is down, cannot reach "
        "Prometheus, or is not applied.",
        "See whether alloy runs on that host or in that cluster, and what its log says of remote_write.",
    ),
    Alert(
        "ProbeFailing", "probe_success == 0", "2m", "critical",
        f"{_WHO} does not answer by its name",
        "{{ $labels.instance }} was asked for two minutes as callers do, and gave no good answer: the service, the "
        "proxy, the name or the certificate.",
        "Ask for the same address with curl -v: that tells which of the four it is.",
    ),
    Alert(
        "ProbeSlow", "avg_over_time(probe_duration_seconds[10m]) > 2", "10m", "warning",
        f"{_WHO} is slow",
        "{{ $labels.instance }} took {{ $value | humanizeDuration }} on average over ten minutes.",
        "Look at the service's dashboard for memory and restarts, at its host's for load and disk.",
    ),
    Alert(
        "RestartLoop",
        'changes(process_start_time_seconds{service!=""}[30m]) >= 3 or changes(container_start_time_seconds[30m]) >= 3',
        "5m", "critical",
        f"{_WHO} starts again and again",
        "It started {{ $value }} times within half an hour.",
        "Its last lines before each start say why: blumeops logs SERVICE (kubectl -n SERVICE logs --previous POD).",
    ),
    Alert(
        "DatabaseDown", "cnpg_collector_up == 0", "2m", "critical",
        f"the database of {_WHO} does not answer its operator",
        "CloudNativePG's instance manager runs, PostgreSQL in {{ $labels.pod }} does not.",
        "kubectl -n SERVICE describe cluster, and the instance's log.",
    ),
    Alert(
        "DatabaseConnections",
        "sum by (service, pod) (cnpg_backends_total) "
        '/ max by (service, pod) (cnpg_pg_settings_setting{name="max_connections"}) > 0.8',
        "10m", "warning",
        f"the database of {_WHO} is running out of connections",
        "{{ $value | humanizePercentage }} of max_connections are open.",
        "See which service holds them on the databases' dashboard, and restart that one.",
    ),
    Alert(
        "SecretNotDelivered", 'externalsecret_status_condition{condition="Ready", status="False"} == 1',
        "15m", "warning",
        "the secret {{ $labels.namespace }}/{{ $labels.name }} is not delivered",
        "External Secrets could not bring it from the store for a quarter of an hour; pods keep the value they have.",
        "kubectl -n NAMESPACE describe externalsecret NAME says which item or field is missing, or the store away.",
    ),
)  # fmt: skip

DISKS = (
    Alert(
        "DiskNearlyFull", f"node_filesystem_avail_bytes{{{REAL}}} / node_filesystem_size_bytes < 0.1",
        "15m", "critical",
        "{{ $labels.mountpoint }} of {{ $labels.host }} is nearly full",
        "{{ $value | humanizePercentage }} of it are free.",
        "Find what grew: du -xd1 MOUNTPOINT; logs, images and old backups are the usual ones.",
    ),
    Alert(
        "DiskFilling",
        f"predict_linear(node_filesystem_avail_bytes{{{REAL}}}[6h], 86400) < 0 "
        "and node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.3",
        "1h", "warning",
        "{{ $labels.mountpoint }} of {{ $labels.host }} will be full within a day",
        "As it went in the last six hours, nothing will be free tomorrow.",
        "Find what grows now: du -xd1 MOUNTPOINT, twice.",
    ),
    Alert(
        "VolumeNearlyFull", "kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.1",
        "15m", "critical",
        "the volume {{ $labels.persistentvolumeclaim }} of {{ $labels.service }} is nearly full",
        "{{ $value | humanizePercentage }} of it are free.",
        "Delete what the service does not need, or give the claim more storage where its class can grow.",
    ),
    Alert(
        "StateNearlyFull", "blumeops_state_available_bytes / blumeops_state_size_bytes < 0.1", "15m", "critical",
        "the disk with the lab's state is nearly full",
        "{{ $value | humanizePercentage }} of it are free. A sync that finds it full stops with one error.",
        "blumeops status names the state folder; du -xd2 there shows what grew.",
    ),
)  # fmt: skip

BACKUPS = (
    Alert(
        "BackupOld", "time() - blumeops_backup_last_success_timestamp_seconds > 30 * 3600", "15m", "critical",
        f"the last backup by {_WHO} is too old",
        "It ended well {{ $value | humanizeDuration }} ago; one is due every day.",
        "The log of the backup's job says why it failed: the repository away, a passphrase, a disk.",
    ),
    Alert(
        "BackupMissing",
        f"{EXPECTED}_backup unless on (service) blumeops_backup_last_success_timestamp_seconds", "26h", "critical",
        f"no backup by {_WHO} is known",
        "The lab describes it, but it never told of one that ended well.",
        "Run the job by hand once, then see that the collector on its host reads the file of metrics.",
    ),
)  # fmt: skip

LOOP = (
    Alert(
        "LoopDown", 'up{job="loop"} == 0', "2m", "critical",
        "the controller does not answer",
        "Services run on, but nothing is applied, healed or recorded.",
        "blumeops up starts it again; logs/controller.log in the state folder says why it ended.",
    ),
    Alert(
        "LoopStuck", "time() - blumeops_look_timestamp_seconds > 900", "2m", "critical",
        "the controller does not look after the lab",
        "Its last look at what runs was {{ $value | humanizeDuration }} ago; there is one every ten seconds.",
        "blumeops history tells which sync it is at; blumeops down and up if that does not end.",
    ),
    Alert(
        "LoopBehind", "blumeops_settled == 0", "15m", "warning",
        "the lab is not as its repository says",
        "For a quarter of an hour the wanted revision is not applied whole, or not all that should run is healthy.",
        "blumeops status says which unit, and why.",
    ),
    Alert(
        "UnitUnhealthy", "blumeops_unit_healthy == 0", "2m", "critical",
        "{{ $labels.service }} does not run, or is not healthy",
        "The controller found it so for two minutes, and what it tries does not help.",
        "blumeops status tells the reason; blumeops logs SERVICE its last words.",
    ),
    Alert(
        "JobLate",
        "time() - (blumeops_job_last_success_timestamp_seconds or blumeops_job_since_timestamp_seconds) > 30 * 3600",
        "15m", "critical",
        "{{ $labels.service }} did not end well for too long",
        "It is due every day; for {{ $value | humanizeDuration }} no run of it ended well.",
        "blumeops status tells its last result and why; blumeops run SERVICE runs it now.",
    ),
    Alert(
        "ApplicationUnhealthy", 'argocd_app_info{health_status!~"Healthy|Progressing|Suspended"} == 1',
        "10m", "critical",
        "{{ $labels.name }} is {{ $labels.health_status }}, says Argo CD",
        "Its objects are applied, but do not become what they should be.",
        "argocd app get NAME names the object and its message.",
    ),
    Alert(
        "ApplicationOutOfSync", 'argocd_app_info{sync_status!="Synced"} == 1', "30m", "warning",
        "{{ $labels.name }} is not as Git says",
        "Argo CD could not apply it for half an hour, or somebody changes it by hand.",
        "argocd app diff NAME shows the difference, argocd app get NAME why the sync fails.",
    ),
)  # fmt: skip

TELEMETRY = (
    Alert(
        "MetricsLost",
        "increase(prometheus_remote_storage_samples_failed_total[15m]) > 0 "
        "or increase(prometheus_remote_storage_samples_dropped_total[15m]) > 0",
        "5m", "warning",
        f"{_WHO} loses metrics",
        "{{ $value | humanize }} samples did not reach Prometheus within a quarter of an hour.",
        "The collector's log names the address and the answer.",
    ),
    Alert(
        "LogsLost", "increase(loki_write_dropped_entries_total[15m]) > 0", "5m", "warning",
        f"{_WHO} loses lines of logs",
        "{{ $value | humanize }} lines did not reach Loki within a quarter of an hour ({{ $labels.reason }}).",
        "The collector's log names the address and the answer; Loki refuses lines that are too old or too many.",
    ),
    Alert(
        "RulesFailing",
        "increase(prometheus_rule_evaluation_failures_total[15m]) > 0 or prometheus_config_last_reload_successful == 0",
        "5m", "critical",
        "Prometheus cannot use its rules",
        "A rule cannot be evaluated or the configuration was refused: alerts may be missing.",
        "Prometheus' log names the rule; promtool check rules says what is wrong with it.",
    ),
)  # fmt: skip


def certificates(seconds: int, after: str) -> Alert:
    """The alert about certificates that end within `seconds` without having been renewed."""
    return Alert(
        "CertificateExpiring", f"probe_ssl_earliest_cert_expiry - time() < {seconds}", after, "warning",
        f"the certificate of {_WHO} is not renewed",
        "That of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}; the proxy should have a new one now.",
        "The proxy's log says why it gets none: the DNS provider's token, the certificate authority's limits.",
    )  # fmt: skip
