"""NetworkPolicies, read as a cluster's network reads them, against what the lab says of every pair.

`Network` is written from the documentation of NetworkPolicy, not from the renderer: a packet passes when a policy of
each end lets it, and pods that no policy selects take all.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.facts.access.access import Access
from blumeops.facts.access.pods import Pods
from blumeops.facts.access.verdict import reach
from blumeops.facts.derive import derive
from blumeops.lab.load import load
from blumeops.render.kubernetes import render
from tests.written import passed

ROOT = Path(__file__).resolve().parents[2]
LABS = {
    "blumeops": ROOT / "labs" / "blumeops",
    "first": ROOT / "labs" / "first",
    "cnpg": ROOT / "tests" / "golden" / "kubernetes" / "labs" / "cnpg",
}
Labels = dict[str, str]
End = tuple[str, Labels] | str
"""A pod, by its namespace and labels; or an address."""


class Network:
    """The policies of a rendered lab, and its pods."""

    def __init__(self, tree: FileTree) -> None:
        self.policies: list[dict[str, Any]] = []
        self.pods: dict[str, tuple[str, Labels]] = {}
        for each in objects(tree):
            about, spec = each["metadata"], each.get("spec", {})
            if each["kind"] == "NetworkPolicy":
                self.policies.append(each)
            elif each["kind"] in ("Deployment", "StatefulSet"):
                self.pods[about["name"]] = about["namespace"], spec["template"]["metadata"]["labels"]
            elif each["kind"] == "CronJob":
                labels = spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
                self.pods[about["name"]] = about["namespace"], labels
            elif each["kind"] == "Cluster":
                self.pods[about["name"]] = about["namespace"], {"cnpg.io/cluster": about["name"]}

    def passes(self, source: End, destination: End, port: int, protocol: str = "TCP") -> bool:
        """Whether a packet gets there."""
        return self._lets("Egress", source, destination, port, protocol) and self._lets(
            "Ingress", destination, source, port, protocol
        )

    def _lets(self, way: str, own: End, other: End, port: int, protocol: str) -> bool:
        if isinstance(own, str):
            return True
        selecting = [
            policy["spec"] for policy in self.policies
            if policy["metadata"]["namespace"] == own[0]
            and way in policy["spec"]["policyTypes"]
            and _selects(policy["spec"]["podSelector"], own[1])
        ]  # fmt: skip
        key = "to" if way == "Egress" else "from"
        rules = [rule for spec in selecting for rule in spec.get(way.lower(), [])]
        return not selecting or any(
            _has_port(rule, port, protocol) and _has_peer(rule.get(key), other, own[0]) for rule in rules
        )


def _selects(selector: dict[str, Any], labels: Labels) -> bool:
    assert selector.keys() <= {"matchLabels"}
    return dict(selector.get("matchLabels", {})).items() <= labels.items()


def _has_port(rule: dict[str, Any], port: int, protocol: str) -> bool:
    return "ports" not in rule or {"protocol": protocol, "port": port} in rule["ports"]


def _has_peer(peers: list[dict[str, Any]] | None, other: End, namespace: str) -> bool:
    if peers is None:
        return True
    for peer in peers:
        if "ipBlock" in peer:
            if isinstance(other, str) and _within(peer["ipBlock"], ipaddress.ip_address(other)):
                return True
        elif not isinstance(other, str):
            named = {"kubernetes.io/metadata.name": other[0]}
            wanted = peer.get("namespaceSelector")
            inside = other[0] == namespace if wanted is None else _selects(wanted, named)
            if inside and _selects(peer.get("podSelector", {}), other[1]):
                return True
    return False


def _within(block: dict[str, Any], address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(cidr) for cidr in block.get("except", [])
    )


def objects(tree: FileTree) -> Iterator[dict[str, Any]]:
    """Every object of the manifests."""
    for path in tree:
        if path.startswith("argocd/manifests/") and not path.endswith("kustomization.yaml"):
            yield from yaml.safe_load_all(tree.text(path))


@cache
def checked(name: str) -> CheckedLab:
    """One of LABS."""
    found = check_folder(LABS[name]).passed
    assert found is not None
    return found


@cache
def network(name: str) -> Network:
    """Its network."""
    return Network(render(checked(name)))


def compare(lab: CheckedLab, made: Network) -> int:
    """Every pod against every port of every other: passed exactly where a line lets it. How many do is returned."""
    pods = Pods(Access(lab.lab, lab.facts))
    stranger = ("elsewhere", {"app": "stranger"})
    count = 0
    for used, destination in made.pods.items():
        service = lab.facts.services[used]
        numbers = {number for number, _ in pods.all_ports(service)} | {9187, 8000, 22}
        for user, source in [*made.pods.items(), ("", stranger)]:
            if user == used or (user and lab.lab.services[user].cluster != service.service.cluster):
                continue
            for number in sorted(numbers):
                line = pods.lets(user, used, number)
                assert made.passes(source, destination, number) == (line is not None), (user, used, number, line)
                count += line is not None
    return count


@pytest.mark.parametrize(("name", "least"), [("blumeops", 12), ("first", 1), ("cnpg", 1)])
def test_the_policies_say_what_the_lab_says_of_every_pair(name: str, least: int) -> None:
    """Of every two pods, and of one that is nobody's, at every port: what no line opens is closed."""
    assert compare(checked(name), network(name)) >= least


@pytest.mark.parametrize(
    ("user", "used", "port", "open_"),
    [
        ("miniflux", "postgresql", 5432, True),
        ("kiwix", "postgresql", 5432, False),
        ("miniflux", "postgresql", 9187, False),
        ("alloy-k8s", "postgresql", 9187, True),
        ("alloy-k8s", "postgresql", 5432, True),
        ("prometheus", "miniflux", 8080, True),
        ("miniflux", "prometheus", 9090, False),
        ("grafana", "prometheus", 9090, True),
        ("grafana", "loki", 3100, True),
        ("grafana", "loki", 9095, False),
        ("alloy-k8s", "loki", 3100, True),
        ("uptime", "grafana", 3000, False),
        ("navidrome", "miniflux", 8080, False),
    ],
)
def test_pairs_of_the_example(user: str, used: str, port: int, open_: bool) -> None:
    """By hand: what the services of the example need of each other, and what they do not."""
    pods = network("blumeops").pods
    assert network("blumeops").passes(pods[user], pods[used], port) is open_


@pytest.mark.parametrize("name", LABS)
def test_what_a_policy_opens_is_reached(name: str) -> None:
    """`reach` never denies what a policy lets through."""
    lab, made = checked(name), network(name)
    access = Access(lab.lab, lab.facts)
    for call in Pods(access).calls:
        if call.user in made.pods and call.used in made.pods:
            for number, _ in call.ports:
                known = {port.port for port in lab.facts.services[call.used].app.ports.values()}
                assert number not in known or reach(access, call.user, call.used, number).reachable, call


@pytest.mark.parametrize("name", LABS)
def test_a_service_may_call_every_address_that_it_is_given(name: str) -> None:
    """Whatever address of the cluster stands in a service's files or environment, its pods get there."""
    made = network(name)
    tree, count = render(checked(name)), 0
    for path in tree:
        user = path.removeprefix("argocd/manifests/").partition("/")[0]
        if user not in made.pods or "/database" in path:
            continue
        for used, port in re.findall(r"(?:[a-z0-9-]+)\.([a-z0-9-]+)\.svc:(\d+)", tree.text(path)):
            if used in made.pods:
                assert made.passes(made.pods[user], made.pods[used], int(port)), (path, used, port)
                count += 1
    assert count, "no service of this lab is given an address: the pattern finds none"


OUTSIDE = [
    ("miniflux", "1.1.1.1", 443, True),  # feeds are anywhere
    ("miniflux", "2606:4700::1111", 443, True),
    ("miniflux", "192.168.1.20", 445, False),  # a device of the home network
    ("miniflux", "10.96.0.1", 443, False),  # the API server
    ("miniflux", "fd00::1", 443, False),
    ("kiwix", "1.1.1.1", 443, False),
    ("loki", "1.1.1.1", 443, False),
    ("uptime", "1.1.1.1", 80, True),  # an image: nobody said what it calls
    ("kiwix", "100.101.102.103", 443, True),  # the registry, which allows pods, by the proxy
    ("kiwix", "100.101.102.103", 22, False),
    ("alloy-k8s", "192.168.1.50", 10250, True),
    ("alloy-k8s", "192.168.1.50", 8443, True),
    ("kiwix", "192.168.1.50", 8443, False),
]


@pytest.mark.parametrize(("user", "address", "port", "open_"), OUTSIDE)
def test_what_leaves_the_cluster(user: str, address: str, port: int, open_: bool) -> None:
    """The internet where the app calls it; devices and the tailnet where a line of the lab leads there."""
    made = network("blumeops")
    assert made.passes(made.pods[user], address, port) is open_


def test_each_pod_asks_for_names() -> None:
    """The cluster's DNS, of everybody; and nothing else of its namespace."""
    made = network("blumeops")
    dns, other = ("kube-system", {"k8s-app": "kube-dns"}), ("kube-system", {"k8s-app": "metrics-server"})
    for pod in made.pods.values():
        assert made.passes(pod, dns, 53, "UDP")
        assert made.passes(pod, dns, 53)
        assert not made.passes(pod, other, 53)
        assert not made.passes(pod, dns, 443)


def test_only_its_own_proxy_comes_in_from_the_tailnet() -> None:
    """The operator's pods tell which service they are made for: the policy of the tailnet tells them apart too."""
    made = network("blumeops")

    def proxy(name: str, kind: str = "ingress", namespace: str = "tailscale-operator") -> tuple[str, Labels]:
        return namespace, {
            "tailscale.com/managed": "true", "tailscale.com/parent-resource-type": kind,
            "tailscale.com/parent-resource-ns": name, "tailscale.com/parent-resource": name,
        }  # fmt: skip

    assert made.passes(proxy("miniflux"), made.pods["miniflux"], 8080)
    assert not made.passes(proxy("kiwix"), made.pods["miniflux"], 8080)
    assert not made.passes(proxy("miniflux", namespace="kiwix"), made.pods["miniflux"], 8080)
    assert made.passes(proxy("postgresql", "svc"), made.pods["postgresql"], 5432)


def test_the_job_that_makes_a_database_reaches_it() -> None:
    """In the provider's namespace, where everything else is closed; it reaches nothing else."""
    made = network("first")
    labels = made.pods["miniflux"][1]
    postgresql = made.pods["postgresql"]
    assert made.passes(("postgresql", labels), postgresql, 5432)
    assert not made.passes(("postgresql", {"app": "other"}), postgresql, 5432)
    assert not made.passes(("postgresql", labels), made.pods["miniflux"], 8080)


def test_what_is_there_before_the_job_is_there_before_it() -> None:
    """The Job runs before the service's own objects: its policies are in an earlier wave, or it would never end."""
    tree = render(checked("first"))
    waves = {
        (each["kind"], each["metadata"]["name"]): each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        for each in yaml.safe_load_all(tree.text("argocd/manifests/miniflux/database.yaml"))
    }
    assert waves["NetworkPolicy", "grant-miniflux"] == waves["NetworkPolicy", "from-grant-miniflux"] == "-2"
    assert [wave for (kind, _), wave in waves.items() if kind == "Job"] == ["-1"]


def test_connect_is_asked_by_external_secrets_alone() -> None:
    """Its namespace holds what opens the vault."""
    made = network("blumeops")
    connect = ("onepassword-connect", {"app": "onepassword-connect"})
    assert made.passes(("external-secrets", {}), connect, 8080)
    assert not made.passes(made.pods["miniflux"], connect, 8080)
    assert made.passes(connect, "1.1.1.1", 443)
    assert not made.passes(connect, "192.168.1.50", 443)


def test_each_rule_says_its_line() -> None:
    """A comment before each rule names the file and the words that it follows from."""
    text = render(checked("blumeops")).text("argocd/manifests/miniflux/networkpolicy.yaml")
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines) if re.match(r"    - (to|from|ports):", line)]
    assert len(rules) >= 6
    for number in rules:
        assert re.match(r"    # (services/cluster\.yaml|lab\.yaml|services/native\.yaml|Names): ", lines[number - 1])
    assert "    # services/cluster.yaml: miniflux keeps its database in postgresql" in lines


NAMES = ["a", "b", "c", "d"]
APP = "app: {}\nversion: '1'\nsources: [{{container: example.org/app}}]\nports: {{http: 8080, raw: 9}}\nstate: none\n"


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({name: st.sets(st.sampled_from([*NAMES, "cluster", "box", "you"])) for name in NAMES}))
def test_allow_is_what_passes(tmp_path_factory: pytest.TempPathFactory, allow: dict[str, set[str]]) -> None:
    """Whatever stands in `allow:`, pods get exactly to those that name them, or `cluster`."""
    services = {
        name: {"cluster": "pods", "app": "x", "allow": sorted(found - {name})} for name, found in allow.items()
    }  # fmt: skip
    settings_ = {
        "lab": "small", "people": {"you": {"login": "you@example.org"}}, "network": {"tailnet": "example.ts.net"},
        "hosts": {"box": {"os": "linux", "role": "compute"}}, "clusters": {"pods": {"host": "box"}},
    }  # fmt: skip
    lab = passed(tmp_path_factory.mktemp("lab"), {
        "lab.yaml": yaml.safe_dump(settings_), "services/s.yaml": yaml.safe_dump(services),
        "apps/x/app.yaml": APP.format("x"),
    })  # fmt: skip
    made = Network(render(lab))
    compare(lab, made)
    for used in NAMES:
        for user in set(NAMES) - {used}:
            wanted = user in allow[used] or "cluster" in allow[used]
            assert made.passes(made.pods[user], made.pods[used], 8080) is wanted, (user, used)


def test_nothing_is_open_because_nothing_is_said(tmp_path: Path) -> None:
    """A service of which nobody says anything: its pods ask for names, and that is all."""
    lab = passed(tmp_path, {"services/s.yaml": "a: {cluster: pods, app: x}\nb: {cluster: pods, app: x}\n",
                            "apps/x/app.yaml": APP.format("x")})  # fmt: skip
    assert compare(lab, Network(render(lab))) == 0


def test_internet_is_the_services_to_say(tmp_path: Path) -> None:
    """`internet:` of a service counts more than its app's, and than what is taken of an image."""
    services = "a: {cluster: pods, app: x, internet: true}\nb: {cluster: pods, app: x}\n"
    services += "c: {cluster: pods, image: 'example.org/c:1', state: none, internet: false}\n"
    lab = passed(tmp_path, {"services/s.yaml": services, "apps/x/app.yaml": APP.format("x")})
    made = Network(render(lab))
    assert [made.passes(made.pods[name], "1.1.1.1", 443) for name in "abc"] == [True, False, False]


def test_a_device_without_an_address_is_opened_by_its_port(tmp_path: Path) -> None:
    """A name is no address: the port has to do, and every address has it."""
    settings_ = "lab: small\nhosts: {box: {os: linux, role: compute}, db: {os: linux, role: compute%s}}\n"
    settings_ += "clusters: {pods: {host: box}}\n"
    services = "postgresql: {host: db}\nminiflux: {cluster: pods, database: postgresql, internet: false}\n"
    for address, elsewhere in ((", address: 192.0.2.7", False), ("", True)):
        folder = tmp_path / str(elsewhere)
        lab = load_of(folder, settings_ % address, services)
        made = Network(render(lab))
        assert made.passes(made.pods["miniflux"], "192.0.2.7", 5432)
        assert made.passes(made.pods["miniflux"], "192.0.2.8", 5432) is elsewhere


def load_of(folder: Path, settings_: str, services: str) -> CheckedLab:
    """A lab as it is, whatever the checks say of it."""
    (folder / "services").mkdir(parents=True)
    (folder / "lab.yaml").write_text(settings_)
    (folder / "services" / "s.yaml").write_text(services)
    lab = load(folder).lab
    return CheckedLab(lab, derive(lab))
