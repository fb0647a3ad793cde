"""The collector of a cluster: lines of its pods, questions to each service by the name that it is used by, and the
metrics of what is no service of its own: the cluster's parts, databases that an operator runs, pods and volumes.

Each service has a namespace of its own name: so the namespace is the label `service`.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.facts.derive import ServiceFacts
from blumeops.render.telemetry.alloy import common
from blumeops.render.telemetry.alloy.syntax import Block, Raw, Said, Value
from blumeops.render.telemetry.probes import probes
from blumeops.render.telemetry.view import DATABASES, KUBELET, LOGS, PLATFORM, PROBES, View, labels

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DATABASE_PORT = 9187
"""Where CloudNativePG's instances tell metrics: https://cloudnative-pg.io/docs/current/monitoring/"""
_MODULES = """`
modules:
  http_healthy:
    prober: http
    timeout: 9s
    http: {follow_redirects: false, valid_status_codes: [200, 201, 202, 204, 206, 301, 302, 303, 307, 308]}
  http_answers:
    prober: http
    timeout: 9s
    http: {follow_redirects: false, valid_status_codes: [200, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405]}
  tcp_connects:
    prober: tcp
    timeout: 9s
`"""
_NAMESPACE, _PORT = "__meta_kubernetes_namespace", "__meta_kubernetes_pod_container_port_number"


def blocks(view: View) -> Iterator[Block]:
    """The configuration of the collector that is the view's reader."""
    cluster = view.reader.service.cluster or ""
    beside = [each for each in view.services() if view.beside(each)]
    yield from _probes(view)
    yield Block("discovery.kubernetes", "pods", {"role": "pod"}, (), f"The pods of clusters.{cluster} in lab.yaml")
    yield from _metrics_of_pods(beside, cluster)
    yield from _nodes(cluster)
    yield from common.services(view, beside)
    if view.log_store():
        yield from _lines(cluster)
        yield common.levels(view, beside)
    yield from common.sinks(view)


def _probes(view: View) -> Iterator[Block]:
    """The exporter gives each target a job and an instance of its own making: they become ours."""
    targets: list[Value] = [
        {
            "name": probe.service.name, "address": Said(probe.target), "module": probe.module,
            **labels(probe.service),
        }
        for probe in probes(view, view.reader)
    ]  # fmt: skip
    if not targets:
        return
    values: dict[str, Value] = {"config": Raw(_MODULES), "targets": targets}
    yield Block("prometheus.exporter.blackbox", "names", values, (), "Every service, by the name that it is used by")
    instance: dict[str, Value] = {"source_labels": ["__param_target"], "target_label": "instance"}
    yield Block(
        "discovery.relabel", "names", {"targets": Raw("prometheus.exporter.blackbox.names.targets")},
        [*common.fixed(job=PROBES), common.rule(instance)],
    )  # fmt: skip
    yield common.scrape(PROBES, Raw("discovery.relabel.names.output"), scrape_timeout="10s")


def _metrics_of_pods(beside: list[ServiceFacts], cluster: str) -> Iterator[Block]:
    """Parts of the cluster and databases: their pods are known by namespace and port, and come from elsewhere."""
    parts = [each for each in beside if each.app.kind == "platform" and each.app.metrics]
    here = {each.app.app for each in beside}
    operated = "cloudnative-pg" in here
    databases = [each for each in beside if "database" in each.app.provides and operated]
    told = [(each, _number(each)) for each in parts]
    yield from _pods(PLATFORM, told, cluster, "The cluster's own parts")
    yield from _pods(DATABASES, [(each, DATABASE_PORT) for each in databases], cluster, "Databases, by their operator")


def _number(service: ServiceFacts) -> int:
    metrics = service.app.metrics
    assert metrics is not None
    return service.ports[metrics.port].port


def _pods(job: str, told: list[tuple[ServiceFacts, int]], cluster: str, about: str) -> Iterator[Block]:
    if not told:
        return
    kept = "|".join(f"{each.name};{port}" for each, port in told)
    rules = [
        common.rule({"source_labels": [_NAMESPACE, _PORT], "regex": kept, "action": "keep"}),
        common.rule({"source_labels": [_NAMESPACE], "target_label": "service"}),
        common.rule({"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"}),
    ]
    for each, _ in told:
        name: dict[str, Value] = {"source_labels": [_NAMESPACE], "regex": each.name}
        rules.append(common.rule({**name, "target_label": "app", "replacement": each.app.app}))
    rules += common.fixed(cluster=cluster)
    yield Block("discovery.relabel", job, {"targets": Raw("discovery.kubernetes.pods.targets")}, rules, about)
    yield common.scrape(job, Raw(f"discovery.relabel.{job}.output"))


def _nodes(cluster: str) -> Iterator[Block]:
    """What kubelet tells of pods and volumes. Its certificate is its own in most home clusters: the address is the
    node's, as the API server has it."""
    yield Block("discovery.kubernetes", "nodes", {"role": "node"}, (), "Nodes: what kubelet tells of pods and volumes")
    yield Block(
        "discovery.relabel", "nodes", {"targets": Raw("discovery.kubernetes.nodes.targets")},
        common.fixed(cluster=cluster),
    )  # fmt: skip
    tls = Block("tls_config", "", {"insecure_skip_verify": True}, (), "Kubelet's certificate is its own")
    for name, path in (("pods", "/metrics/resource"), ("volumes", "/metrics")):
        made = common.scrape(
            name, Raw("discovery.relabel.nodes.output"), job=KUBELET, to=Raw("prometheus.relabel.nodes.receiver"),
            scheme="https", metrics_path=path, bearer_token_file=f"{ACCOUNT}/token",
        )  # fmt: skip
        yield Block(made.name, made.label, made.values, [tls])
    kept: dict[str, Value] = {
        "source_labels": ["__name__"], "action": "keep",
        "regex": "up|(container|pod|node)_(cpu|memory|start)_.*|kubelet_volume_stats_.*",
    }  # fmt: skip
    called: dict[str, Value] = {"source_labels": ["namespace"], "regex": "(.+)", "target_label": "service"}
    yield Block(
        "prometheus.relabel", "nodes", {"forward_to": [common.TO_PROMETHEUS]}, [common.rule(kept), common.rule(called)]
    )


def _lines(cluster: str) -> Iterator[Block]:
    """The lines of every pod, by way of the API server: nothing of the node is mounted."""
    taken = {
        "service": _NAMESPACE, "app": "__meta_kubernetes_pod_label_app_kubernetes_io_name",
        "pod": "__meta_kubernetes_pod_name", "container": "__meta_kubernetes_pod_container_name",
    }  # fmt: skip
    rules = [common.rule({"source_labels": [source], "target_label": label}) for label, source in taken.items()]
    rules += common.fixed(job=LOGS, cluster=cluster)
    yield Block("discovery.relabel", "lines", {"targets": Raw("discovery.kubernetes.pods.targets")}, rules)
    yield Block("loki.source.kubernetes", "pods", {
        "targets": Raw("discovery.relabel.lines.output"), "forward_to": [Raw("loki.process.lines.receiver")],
    }, (), "The lines of all pods")  # fmt: skip
