"""TCP routes: what speaks no HTTP by the proxy's name, from the port that an app names to each engine's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.facts.access.verdict import reach
from blumeops.facts.outage import Outages
from blumeops.render.ansible import render as render_ansible
from blumeops.render.kubernetes import render as render_kubernetes
from blumeops.render.tailscale import render as render_tailscale

LAB = """\
lab: test
network: {tailnet: x.ts.net, domain: ops.x.org, dns: {provider: gandi, token: op://test/gandi/pat}}
secrets: {store: 1password, vault: test}
people: {ann: {login: ann@x.org, role: admin}, bob: {login: bob@x.org, role: member}}
hosts:
  box: {os: linux, role: compute, address: 192.0.2.1}
  far: {os: linux, role: compute, address: 192.0.2.2}
clusters: {pods: {host: box, kind: k3s}, others: {host: far, kind: k3s}}
"""
CADDY = "caddy: {host: box}\n"
PG = "postgresql: {cluster: pods, name: pg, allow: [bob]}\n"

Make = Callable[..., CheckedLab]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a lab with the services, checks it, and holds that it passes."""

    def made(services: str, lab: str = LAB) -> CheckedLab:
        (tmp_path / "services").mkdir(exist_ok=True)
        (tmp_path / "lab.yaml").write_text(lab)
        (tmp_path / "services" / "all.yaml").write_text(services)
        checked = check_folder(tmp_path)
        assert checked.passed, checked.findings
        return checked.passed

    return made


def caddyfile(tree: FileTree) -> str:
    """The proxy's own."""
    return tree.files["ansible/roles/caddy/templates/Caddyfile.j2"].decode()


def numbers(lab: CheckedLab) -> list[tuple[int, str]]:
    """What is routed: number and service."""
    return [(route.number, route.service) for route in lab.access.ids.tcp_routes]


def test_a_service_of_a_cluster_is_led_to_by_its_door(make: Make) -> None:
    """The proxy is built with what it takes, and what comes past the tailnet is closed."""
    lab = make(CADDY + PG)
    assert numbers(lab) == [(5432, "postgresql")]
    tree = render_ansible(lab)
    assert "\t\t:5432 {\n\t\t\t@tailnet local_ip 100.64.0.0/10 " in caddyfile(tree)
    assert "\t\t\t\tproxy pg.x.ts.net:5432\n" in caddyfile(tree)
    assert b"github.com/mholt/caddy-l4@" in tree.files["ansible/roles/caddy/tasks/linux.yml"]


def test_its_policy_and_reach_know_the_port(make: Make) -> None:
    """Machines get to the number, the proxy to the door; a member has the door alone, and the tests say so."""
    lab = make(CADDY + PG)
    found = {who: reach(lab.access, who, "postgresql", 5432) for who in ("bob", "ann", "far", "others")}
    assert {who: verdict.name for who, verdict in found.items()} == {
        "bob": "pg.x.ts.net:5432", "ann": "pg.x.ts.net:5432", "far": "pg.ops.x.org:5432", "others": "pg.ops.x.org:5432",
    }  # fmt: skip
    policy = render_tailscale(lab).files["tailscale/policy.hujson"].decode()
    assert '"dst": ["tag:box"], "ip": ["tcp:443", "tcp:5432"]' in policy
    assert '{"src": ["tag:box"], "dst": ["tag:postgresql"], "ip": ["tcp:5432"]}' in policy
    assert not lab.access.lets("person:bob", "host:box", 5432)


def test_without_a_proxy_that_is_built_there_is_none(make: Make) -> None:
    """No package of Caddy has what it takes: nothing is opened for it either."""
    lab = make(CADDY + PG, LAB.replace(", dns: {provider: gandi, token: op://test/gandi/pat}", ""))
    assert numbers(lab) == []
    assert "layer4" not in caddyfile(render_ansible(lab))
    assert lab.access.ids.proxy_ports == (443,)


@pytest.mark.parametrize(
    ("services", "routed"),
    [
        ("postgresql: {cluster: pods}\n", []),  # nobody from elsewhere has business with it: it has no door
        ("postgresql: {host: box}\n", []),  # it listens there itself
        ("postgresql: {host: box, ports: {sql: {port: 5433, routed: 5432}}}\n", [(5432, "postgresql")]),
        ("postgresql: {host: far}\n", []),  # it would have to listen on all addresses
        ("forgejo: {host: box}\n", [(2222, "forgejo")]),
        ("forgejo: {cluster: pods}\n", []),  # an ingress carries pages alone
        ("postgresql: {cluster: pods, allow: [bob], ports: {sql: 5432}}\n", []),  # the lab says otherwise
    ],
)
def test_what_is_routed(make: Make, services: str, routed: list[tuple[int, str]]) -> None:
    """What lies beside the proxy, or has a door that carries it."""
    assert numbers(make(CADDY + services)) == routed


def test_git_over_ssh(make: Make) -> None:
    """Members by the forge's own name, machines by the proxy; the server itself listens on loopback, also where its
    pages are for callers from other machines."""
    lab = make(CADDY + "forgejo: {host: box, name: forge, allow: [members]}\nargocd: {cluster: pods}\n",
               LAB + "gitops: {forge: forgejo}\n")  # fmt: skip
    assert reach(lab.access, "bob", "forgejo", 2222).name == "forge.x.ts.net:2222"
    assert reach(lab.access, "far", "forgejo", 2222).name == "forge.ops.x.org:2222"
    assert reach(lab.access, "lan", "forgejo", 3000).reachable
    assert not reach(lab.access, "lan", "forgejo", 2200).reachable
    served = json.loads(render_tailscale(lab).files["tailscale/serve/box.json"])
    assert served["services"]["svc:forge"]["endpoints"] == {
        "tcp:443": "http://127.0.0.1:3000", "tcp:2222": "tcp://127.0.0.1:2200",
    }  # fmt: skip
    tree = render_ansible(lab)
    assert "proxy 127.0.0.1:2200\n" in caddyfile(tree)
    config = tree.files["ansible/roles/forgejo/templates/app.ini.j2"].decode()
    assert "\nSSH_LISTEN_PORT = 2200\nSSH_PORT = 2222\n" in config
    role = "".join(content.decode() for path, content in tree.files.items() if "roles/forgejo/" in path)
    assert "--publish=127.0.0.1:2200:2200/tcp" in role
    assert "--publish=0.0.0.0:3000:3000/tcp" in role


def test_a_pod_of_another_cluster_finds_its_database_by_the_proxy(make: Make) -> None:
    """It knows no names of MagicDNS: without the route its lab is refused."""
    services = CADDY + PG + "external-secrets: {cluster: others}\nonepassword-connect: {cluster: others}\n"
    lab = make(services + "miniflux: {cluster: others, database: postgresql}\n")
    files = render_kubernetes(lab).files
    said = b"".join(content for path, content in files.items() if path.startswith("argocd/manifests/miniflux/"))
    assert b"@pg.ops.x.org:5432/miniflux" in said
    assert not any("keeps its database" in grant.why for grant in lab.access.grants)
    # Its pods may call that port of the tailnet, and no other but DNS.
    policy = files["argocd/manifests/miniflux/networkpolicy.yaml"].decode()
    assert "port: 5432" in policy


def test_a_container_on_a_host_as_well(make: Make) -> None:
    """It sees no name of MagicDNS either."""
    own = "notes: {host: far, image: docker.io/x/notes:1, ports: {http: 80}, state: none, database: postgresql, "
    lab = make(CADDY + PG + own + 'env: {DB: "{{ database.url }}"}}\n')
    assert any(
        b"pg.ops.x.org:5432" in content for path, content in render_ansible(lab).files.items() if "notes" in path
    )


@pytest.mark.parametrize("user", ["host: far", "cluster: others"])
def test_users_of_a_database_on_another_machine_find_it_at_its_own_number(make: Make, user: str) -> None:
    """They are given its host's name, so it listens there too, though the proxy beside it has another number."""
    pg = "postgresql: {host: box, ports: {sql: {port: 5433, routed: 5432}}}\n"
    parts = "external-secrets: {cluster: others}\nonepassword-connect: {cluster: others}\n"
    alone = make(CADDY + parts + pg)
    lab = make(CADDY + parts + pg + f"miniflux: {{{user}, database: postgresql}}\n")
    assert numbers(alone) == numbers(lab) == [(5432, "postgresql")]
    for each, address in ((alone, "127.0.0.1"), (lab, "0.0.0.0")):
        unit = render_ansible(each).text("ansible/roles/postgresql/templates/systemd.service.j2")
        assert f"-c listen_addresses={address} -c port=5433" in unit
        assert reach(each.access, "lan", "postgresql", 5433).reachable == (address != "127.0.0.1")


def test_a_lab_says_that_nothing_leads_to_its_ssh(make: Make) -> None:
    """Git over SSH then has its own number, and listens on loopback as before."""
    lab = make(CADDY + "forgejo: {host: box, ports: {ssh: 2200}}\nargocd: {cluster: pods}\n",
               LAB + "gitops: {forge: forgejo}\n")  # fmt: skip
    assert numbers(lab) == []
    config = render_ansible(lab).text("ansible/roles/forgejo/templates/app.ini.j2")
    assert "\nSSH_LISTEN_PORT = 2200\nSSH_PORT = 2200\n" in config
    assert not reach(lab.access, "lan", "forgejo", 2200).reachable


@pytest.mark.parametrize("host", ["box", "far"])
def test_what_nothing_leads_to_is_not_opened_beside_pages(make: Make, host: str) -> None:
    """Pages are for callers on other machines; SSH, which nobody would find, is not for the home network."""
    lab = make(
        CADDY + f"forgejo: {{host: {host}}}\nargocd: {{cluster: pods}}\n",
        LAB.replace(", dns: {provider: gandi, token: op://test/gandi/pat}", "") + "gitops: {forge: forgejo}\n",
    )
    assert numbers(lab) == []
    assert reach(lab.access, "lan", "forgejo", 3000).reachable
    assert not reach(lab.access, "lan", "forgejo", 2200).reachable


def test_a_tailscale_service_has_the_number_of_the_proxy(make: Make) -> None:
    """One number is right for both names, wherever the program itself listens."""
    lab = make(CADDY + "postgresql: {host: box, name: pg, allow: [bob], ports: {sql: {port: 5433, routed: 5432}}}\n")
    found = {who: reach(lab.access, who, "postgresql", 5432).name for who in ("bob", "far")}
    assert found == {"bob": "pg.x.ts.net:5432", "far": "pg.ops.x.org:5432"}
    tree = render_tailscale(lab)
    served = json.loads(tree.files["tailscale/serve/box.json"])
    assert served["services"]["svc:pg"]["endpoints"] == {"tcp:5432": "tcp://127.0.0.1:5433"}
    policy = tree.text("tailscale/policy.hujson")
    assert '"dst": ["svc:pg"], "ip": ["tcp:5432"]' in policy
    assert "5433" not in policy


def test_one_number_by_both_protocols_is_granted_by_both(make: Make) -> None:
    """A name server answers at 53 by each."""
    dns = "names: {host: box, image: docker.io/x/names:1, state: none, allow: [bob], "
    lab = make(CADDY + dns + "ports: {tcp: {port: 53}, udp: {port: 53, protocol: udp}}}\n")
    assert '"dst": ["svc:names"], "ip": ["tcp:53", "udp:53"]' in render_tailscale(lab).text("tailscale/policy.hujson")


def test_what_is_lost_without_the_proxy(make: Make) -> None:
    """Also what finds its database by it; what is beside its database is not."""
    parts = "".join(
        f"{app}-{at}: {{app: {app}, cluster: {at}}}\n"
        for app in ("external-secrets", "onepassword-connect")
        for at in ("pods", "others")
    )
    far = "miniflux: {cluster: others, database: postgresql}\n"
    near = "near: {app: miniflux, cluster: pods, database: postgresql}\n"
    lab = make(CADDY + PG + parts + far + near)
    assert [loss.name for loss in Outages(lab.access).of("caddy").lost] == ["*.ops.x.org", "miniflux"]


def test_a_grant_of_the_labs_own_to_that_port_opens_one_service(make: Make, tmp_path: Path) -> None:
    """The finding names the service, and not every name behind the proxy; `reach` says the same."""
    lab = make(CADDY + PG)
    assert "its port 5432 opens postgresql, and nothing else" in reach(lab.access, "far", "postgresql").because[-2].text
    rule = '{"grants": [{"src": ["bob@x.org"], "dst": ["tag:box"], "ip": ["tcp:5432"]}]}'
    (tmp_path / "policy.hujson").write_text(rule)
    found = [finding for finding in check_folder(tmp_path).findings if finding.code == "BLU217"]
    assert [(finding.message, finding.hint) for finding in found] == [(
        "lets bob reach postgresql by caddy on 5432, which services/all.yaml:2 does not",
        "remove it: with `allow: [bob]` there, bob reaches it by its own name",
    )]  # fmt: skip


def test_without_a_tailnet_whoever_is_near_gets_to_the_proxy(make: Make) -> None:
    """Its names lead to an address of the home network then, and nothing in its file or before it closes a port."""
    lab = make(CADDY + "forgejo: {host: box, name: forge}\n", LAB.replace("tailnet: x.ts.net, ", ""))
    assert "local_ip" not in caddyfile(render_ansible(lab))
    for port in (443, 2222):
        found = {who: reach(lab.access, who, "forgejo", port).reachable for who in ("bob", "far", "lan", "internet")}
        assert found == {"bob": True, "far": True, "lan": True, "internet": False}


def test_without_a_tailnet_a_pod_that_is_given_the_name_is_not_kept_in(make: Make) -> None:
    """Its NetworkPolicy opens the proxy's host at the numbers of that name, and `reach` knows it."""
    notes = "notes: {cluster: others, image: docker.io/x/notes:1, ports: {x: 80}, state: none"
    apart = LAB.replace("tailnet: x.ts.net, ", "").replace(
        "host: far, kind: k3s", "host: far, kind: k3s, network_policies: true"
    )
    services = CADDY + "forgejo: {host: box, name: forge}\n" + notes
    alone = make(services + "}\n", apart)
    given = make(services + ", env: {GIT: 'ssh://git@forge.ops.x.org:2222/x'}}\n", apart)
    assert [reach(lab.access, "notes", "forgejo", 2222).reachable for lab in (alone, given)] == [False, True]
