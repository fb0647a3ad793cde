"""The Kubernetes renderer, on labs of a few lines: what follows from which word of an app or a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.base.findings import errors
from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.lab.app import App
from blumeops.lab.load import load
from blumeops.render.kubernetes import BECOMES, render
from blumeops.render.kubernetes.manifest import merged

LAB = """
lab: lab
network: {tailnet: example.ts.net}
people: {you: {login: you@example.org}}
hosts:
  server: {os: linux, role: compute}
  nas:
    os: dsm
    role: storage
    shares: {music: {path: /v/music, by: [nfs]}, films: {path: /v/films, by: [smb]}}
clusters: {cluster: {host: server}, other: {host: server}}
"""
APP = """
app: app
version: "1.2.0"
sources: [{container: example.org/app, uid: 7}]
ports: {http: 8080}
command: [app]
state: none
"""


def lab(folder: Path, services: str, app: str = APP, settings: str = LAB, **files: str) -> FileTree:
    """The files of a lab that has `services`, and `app` as its app `app`."""
    (folder / "services").mkdir()
    (folder / "apps" / "app").mkdir(parents=True)
    (folder / "lab.yaml").write_text(settings)
    (folder / "services" / "s.yaml").write_text(services)
    (folder / "apps" / "app" / "app.yaml").write_text(app)
    for name, text in files.items():
        (folder / "apps" / "app" / name).write_text(text)
    checked = check_folder(folder)
    # What no pod can reach is an error, and rendered all the same here.
    wrong = [str(finding) for finding in errors(checked.findings) if finding.code != "BLU207"]
    assert not wrong
    return render(CheckedLab(load(folder).lab, checked.facts))


def one(tree: FileTree, path: str) -> dict[str, Any]:
    """The only object of a file of the manifests."""
    (found,) = yaml.safe_load_all(tree.text(f"argocd/manifests/{path}"))
    assert isinstance(found, dict)
    return found


def container(tree: FileTree, file: str = "deployment.yaml") -> dict[str, Any]:
    """The container of the service `app`."""
    (found,) = one(tree, f"app/{file}")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def test_becomes_tells_of_every_field() -> None:
    """The generated table has a line for each field of the app model, in its order, and no other."""
    assert list(BECOMES) == list(App.model_fields)


def test_a_lab_without_a_service_in_a_cluster_has_no_files(tmp_path: Path) -> None:
    """There is nothing that Argo CD could apply."""
    assert not list(lab(tmp_path, "app: {host: server}\n"))


def test_a_program_without_state_is_a_deployment(tmp_path: Path) -> None:
    """It runs as the image's user, confined, and without a way into the API."""
    tree = lab(tmp_path, "app: {cluster: cluster}\n")
    spec = one(tree, "app/deployment.yaml")["spec"]
    pod = spec["template"]["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 7)
    assert container(tree)["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert "argocd/manifests/app/statefulset.yaml" not in tree.files


def test_what_may_run_twice_is_replaced(tmp_path: Path) -> None:
    """The new pod is healthy before the old one goes."""
    tree = lab(tmp_path, "app: {cluster: cluster}\n", APP + "update: replace\n")
    rolling = one(tree, "app/deployment.yaml")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize(
    ("source", "version", "image"),
    [
        ("container: example.org/app", "", "example.org/app:1.2.0"),
        ("container: example.org/app", "1.3.0", "example.org/app:1.3.0"),
        ("container: example.org/app, version: v1.2.0", "", "example.org/app:v1.2.0"),
        ("container: example.org/app, version: v1.2.0-slim", "1.3.0", "example.org/app:v1.3.0-slim"),
        ("container: example.org/app, version: '9'", "1.3.0", "example.org/app:9"),
    ],
)
def test_the_image_has_the_version_wanted(tmp_path: Path, source: str, version: str, image: str) -> None:
    """The service's version counts, in the words that the image's tags use."""
    app = APP.replace("container: example.org/app, uid: 7", source)
    tree = lab(tmp_path, f"app: {{cluster: cluster{f', version: {version!r}' if version else ''}}}\n", app)
    assert container(tree)["image"] == image


def test_a_folder_is_a_claim_that_stays(tmp_path: Path) -> None:
    """A StatefulSet claims a volume a folder; it is kept when the service goes."""
    tree = lab(tmp_path, "app: {cluster: cluster}\n", APP.replace("state: none", "state: {own_data: /var/own}"))
    spec = one(tree, "app/statefulset.yaml")["spec"]
    assert [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]] == ["state-own-data"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert {"name": "state-own-data", "mountPath": "/var/own"} in container(tree, "statefulset.yaml")["volumeMounts"]


def test_the_first_start_is_prepared_once(tmp_path: Path) -> None:
    """The command runs in an init container, unless what it makes is there; in a folder of the program's own."""
    init = 'init: {command: [prepare, "{{ state.data }}"], creates: "{{ state.data }}/done"}\n'
    tree = lab(tmp_path, "app: {cluster: cluster}\n", APP.replace("state: none", "state: {data: /data}") + init)
    folders, prepare = one(tree, "app/statefulset.yaml")["spec"]["template"]["spec"]["initContainers"]
    assert folders["command"][-1] == "/volumes/state-data/data"
    assert prepare["command"] == ["sh", "-c", 'test -e "$0" || exec "$@"', "/data/done", "prepare", "/data"]
    mounted = {"name": "state-data", "mountPath": "/data", "subPath": "data"}
    assert mounted in prepare["volumeMounts"]
    assert mounted in container(tree, "statefulset.yaml")["volumeMounts"]


def test_a_signal_of_its_own_is_sent_before_the_stop(tmp_path: Path) -> None:
    """The pod gets its time to end, and the signal that the program wants."""
    tree = lab(tmp_path, "app: {cluster: cluster}\n", APP + "stop: {signal: QUIT, within: 90s}\n")
    assert one(tree, "app/deployment.yaml")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 90
    assert "kill -QUIT 1;" in container(tree)["lifecycle"]["preStop"]["exec"]["command"][-1]


def test_the_services_own_words_count(tmp_path: Path) -> None:
    """Ports, environment, health, resources and state of the service stand instead of the app's."""
    services = """
app:
  cluster: cluster
  ports: {http: 9999}
  env: {A: theirs, B: "{{ listen.http.port }}"}
  health: {http: /alive, within: 7s}
  resources: {memory: 1Gi}
  state: {kept: /kept}
"""
    app = APP + "env: {A: ours}\nhealth: {tcp: http}\nresources: {memory: 5Mi}\n"
    made = container(lab(tmp_path, services, app), "statefulset.yaml")
    assert made["env"] == [{"name": "A", "value": "theirs"}, {"name": "B", "value": "9999"}]
    assert made["ports"] == [{"name": "http", "containerPort": 9999, "protocol": "TCP"}]
    assert made["startupProbe"]["httpGet"] == {"path": "/alive", "port": 9999}
    assert made["startupProbe"]["failureThreshold"] * made["startupProbe"]["periodSeconds"] >= 7
    assert made["resources"] == {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}


def test_the_kubernetes_block_is_laid_on_the_workload(tmp_path: Path) -> None:
    """What only Kubernetes can say is passed on whole, containers found by their names; its namespace allows it."""
    services = """
app:
  cluster: cluster
  kubernetes:
    metadata: {annotations: {a: b}}
    spec: {template: {spec: {nodeName: here, containers: [{name: app, tty: true}, {name: side, image: side:1}]}}}
"""
    tree = lab(tmp_path, services)
    manifest = one(tree, "app/deployment.yaml")
    pod = manifest["spec"]["template"]["spec"]
    assert (manifest["metadata"]["annotations"], pod["nodeName"]) == ({"a": "b"}, "here")
    assert [(each["name"], each.get("tty")) for each in pod["containers"]] == [("app", True), ("side", None)]
    assert pod["containers"][0]["image"] == "example.org/app:1.2.0"
    assert "pod-security.kubernetes.io/enforce: baseline" in tree.text("argocd/apps/app.yaml")


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ([{"name": "a", "x": 1}, {"name": "b"}], [{"name": "a", "y": 2}, {"name": "c"}],
         [{"name": "a", "x": 1, "y": 2}, {"name": "b"}, {"name": "c"}]),
        ([{"metadata": {"name": "a"}, "x": 1}], [{"metadata": {"name": "a"}, "x": 2}],
         [{"metadata": {"name": "a"}, "x": 2}]),
        (["a", "b"], ["c"], ["c"]),
        ({"a": {"b": 1}}, {"a": "text"}, {"a": "text"}),
    ],
)  # fmt: skip
def test_merging(base: Any, over: Any, result: Any) -> None:
    """Maps by key, null takes away, lists of named things by name, everything else whole."""
    assert merged(base, over) == result


def test_a_configuration_file_starts_the_pods_anew(tmp_path: Path) -> None:
    """Its ConfigMap is another when its content is, and the workload names the one that it was made with."""
    app = APP + "files: {app.conf: {path: /etc/app.conf, template: conf}}\n"
    names = []
    for content in ("a = 1\n", "a = 2\n"):
        folder = tmp_path / content[4]
        folder.mkdir()
        tree = lab(folder, "app: {cluster: cluster}\n", app, conf=content)
        config = one(tree, "app/configmap.yaml")
        assert config["data"] == {"app.conf": content}
        volumes = one(tree, "app/deployment.yaml")["spec"]["template"]["spec"]["volumes"]
        assert {"name": "files", "configMap": {"name": config["metadata"]["name"]}} in volumes
        mount = {"name": "files", "mountPath": "/etc/app.conf", "subPath": "app.conf", "readOnly": True}
        assert mount in container(tree)["volumeMounts"]
        names.append(config["metadata"]["name"])
    assert names[0] != names[1]


def test_a_file_with_a_secret_is_no_config_map(tmp_path: Path) -> None:
    """Environment, file and private file that hold a secret come from one Secret, by reference."""
    app = (
        APP
        + """
secrets: {key: {}, pin: {}}
env: {KEY: "k={{ secrets.key }}", PLAIN: "{{ secrets.pin.file }}"}
files: {app.conf: {path: /etc/app.conf, template: conf}}
"""
    )
    services = "app: {cluster: cluster, secrets: {key: op://v/1 item/section/the field}}\n"
    tree = lab(tmp_path, services, app, conf="key = {{ secrets.key }}\n")
    assert "argocd/manifests/app/configmap.yaml" not in tree.files
    spec = one(tree, "app/externalsecret.yaml")["spec"]
    assert spec["target"]["template"]["data"] == {
        "KEY": "k={{ ._1_item_section_the_field }}",
        "file.app.conf": "key = {{ ._1_item_section_the_field }}\n",
        "secret.pin": "{{ .app_pin }}",
    }
    assert [(each["remoteRef"]["key"], each["remoteRef"]["property"]) for each in spec["data"]] == [
        ("1 item", "the field"), ("app", "pin"),
    ]  # fmt: skip
    made = container(tree)
    key = {"name": spec["target"]["name"], "key": "KEY"}
    assert made["env"][0] == {"name": "KEY", "valueFrom": {"secretKeyRef": key}}
    assert made["env"][1] == {"name": "PLAIN", "value": "/run/secrets/app/pin"}
    assert {"name": "secrets", "mountPath": "/run/secrets/app", "readOnly": True} in made["volumeMounts"]


def test_another_reference_is_another_secret(tmp_path: Path) -> None:
    """A secret that is taken from elsewhere starts the pods anew: they wait for the Secret of the new name."""
    app = APP + 'secrets: {key: {}}\nenv: {KEY: "{{ secrets.key }}"}\n'
    names = set()
    for item in ("a", "b"):
        (tmp_path / item).mkdir()
        tree = lab(tmp_path / item, f"app: {{cluster: cluster, secrets: {{key: op://v/{item}/f}}}}\n", app)
        names.add(container(tree)["env"][0]["valueFrom"]["secretKeyRef"]["name"])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("service", "there"),
    [
        ("allow: [you]", True),
        ("allow: [members]", True),
        ("allow: [cluster]", False),
        ("allow: [server]", True),
        ("", False),
    ],
)
def test_people_get_a_name_on_the_tailnet(tmp_path: Path, service: str, there: bool) -> None:
    """Who is let in as a person needs one; where there is no proxy, a machine outside of the cluster too."""
    tree = lab(tmp_path, f"app: {{cluster: cluster, name: page, {service}}}\n")
    assert ("argocd/manifests/app/ingress.yaml" in tree.files) == there
    if there:
        assert one(tree, "app/ingress.yaml")["spec"]["tls"] == [{"hosts": ["page"]}]


def test_a_proxy_outside_needs_the_name_too(tmp_path: Path) -> None:
    """The proxy on a host reaches a service of the cluster by its tailnet name: so it has one, whoever is let in."""
    settings = LAB.replace("{tailnet: example.ts.net}", "{tailnet: example.ts.net, domain: ops.example.org}")
    tree = lab(tmp_path, "app: {cluster: cluster}\ncaddy: {host: server}\n", settings=settings)
    assert "argocd/manifests/app/ingress.yaml" in tree.files


def test_people_reach_what_is_no_page(tmp_path: Path) -> None:
    """A port that is not HTTP is exposed by its Service."""
    tree = lab(tmp_path, "app: {cluster: cluster, name: raw, allow: [you]}\n", APP.replace("http: 8080", "sql: 5432"))
    annotations = one(tree, "app/service.yaml")["metadata"]["annotations"]
    assert annotations == {
        "tailscale.com/expose": "true", "tailscale.com/hostname": "raw", "tailscale.com/tags": "tag:app",
    }  # fmt: skip


def test_a_proxy_in_the_cluster_gets_its_routes(tmp_path: Path) -> None:
    """Caddy's file names the services by their addresses in the cluster; its port is known outside, and low."""
    settings = LAB.replace("{tailnet: example.ts.net}", "{domain: ops.example.org}")
    tree = lab(tmp_path, "app: {cluster: cluster}\ncaddy: {cluster: cluster}\n", settings=settings)
    routes = one(tree, "caddy/configmap.yaml")["data"]["Caddyfile"]
    assert "https://app.ops.example.org {" in routes
    assert "\treverse_proxy app.app.svc:8080\n" in routes
    assert "unix//run/caddy/admin.sock" in routes
    assert one(tree, "caddy/service.yaml")["spec"]["type"] == "LoadBalancer"
    spec = one(tree, "caddy/statefulset.yaml")["spec"]["template"]["spec"]
    assert spec["containers"][0]["securityContext"]["capabilities"]["add"] == ["NET_BIND_SERVICE"]
    assert {"name": "run", "emptyDir": {}} in spec["volumes"]


def test_a_share_is_mounted_by_nfs(tmp_path: Path) -> None:
    """A volume of its own leads to the share; no volume of the pod's own kind would be within the standard."""
    tree = lab(tmp_path, "app: {cluster: cluster, mounts: {music: nas/music}}\n")
    volume, claim = yaml.safe_load_all(tree.text("argocd/manifests/app/pvc.yaml"))
    assert volume["spec"]["nfs"] == {"server": "nas", "path": "/v/music"}
    assert volume["spec"]["claimRef"] == {"namespace": "app", "name": claim["metadata"]["name"]}
    assert {"name": "mount-music", "mountPath": "/mnt/music"} in container(tree)["volumeMounts"]


def test_what_cannot_be_rendered_is_told(tmp_path: Path) -> None:
    """Such a service has no files, and the README says why; the others have theirs."""
    tree = lab(tmp_path, "app: {cluster: cluster, mounts: {films: nas/films}}\nkiwix: {cluster: cluster}\n")
    assert "argocd/apps/app.yaml" not in tree.files
    assert "argocd/apps/kiwix.yaml" in tree.files
    (line,) = [line for line in tree.text("argocd/README.md").splitlines() if line.startswith("- app:")]
    assert "is not offered by NFS" in line


def test_what_a_chart_must_make_is_told(tmp_path: Path) -> None:
    """Nobody reads the templates of a chart here: that its Service is called as the service is the person's to see."""
    chart = "{name: web, repository: 'https://charts.example.org'}"
    tree = lab(
        tmp_path,
        f"web: {{cluster: cluster, chart: {chart}, version: 1.2.3, ports: {{http: 80}}, state: none}}\n",
    )
    assert "- web: its chart must make a Service web with port 80" in tree.text("argocd/README.md")
    assert yaml.safe_load(tree.text("argocd/apps/web.yaml"))["spec"]["sources"][0]["chart"] == "web"


def test_a_database_in_another_cluster_is_made_where_it_is(tmp_path: Path) -> None:
    """The user's objects are the provider's Application's: only that one reaches their cluster."""
    services = "postgresql: {cluster: other}\nminiflux: {cluster: cluster, database: postgresql}\n"
    tree = lab(tmp_path, services)
    assert "argocd/manifests/miniflux/database.yaml" not in tree.files
    kinds = [
        each["kind"] for each in yaml.safe_load_all(tree.text("argocd/manifests/postgresql/database-miniflux.yaml"))
    ]
    assert kinds == ["NetworkPolicy", "NetworkPolicy", "ExternalSecret", "ConfigMap", "Job"]
    assert "postgresql.example.ts.net:5432" in tree.text("argocd/manifests/miniflux/externalsecret.yaml")
    assert one(tree, "postgresql/service.yaml")["metadata"]["annotations"]["tailscale.com/expose"] == "true"
    assert yaml.safe_load(tree.text("argocd/apps/postgresql.yaml"))["spec"]["destination"]["name"] == "other"


def test_who_needs_another_comes_in_a_later_wave(tmp_path: Path) -> None:
    """Operators, then the database, then its user."""
    services = (
        "cloudnative-pg: {cluster: cluster}\npostgresql: {cluster: cluster}\n"
        "miniflux: {cluster: cluster, database: postgresql}\n"
    )
    tree = lab(tmp_path, services)
    waves = [
        yaml.safe_load(tree.text(f"argocd/apps/{name}.yaml"))["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        for name in ("cloudnative-pg", "postgresql", "miniflux")
    ]
    assert waves == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("services", "settings", "given", "repository"),
    [
        ("", "", "", "https://forge.invalid/lab/lab.git"),
        ("", "", "https://example.org/r.git", "https://example.org/r.git"),
        ("forgejo: {cluster: cluster, name: forge}", "gitops: {forge: forgejo}", "",
         "http://forgejo.forgejo.svc:3000/lab/lab.git"),
        ("forgejo: {host: server, name: forge}", "gitops: {forge: forgejo}", "", "http://server:3000/lab/lab.git"),
    ],
)  # fmt: skip
def test_argo_cd_pulls_from_the_labs_forge(
    tmp_path: Path, services: str, settings: str, given: str, repository: str
) -> None:
    """The forge that the lab names, by an address that a pod reaches; or what the caller says."""
    lab(tmp_path, f"app: {{cluster: cluster}}\n{services}\n", settings=f"{LAB}{settings}\n")
    checked = check_folder(tmp_path)
    assert checked.passed
    tree = render(checked.passed, given)
    assert yaml.safe_load(tree.text("argocd/apps.yaml"))["spec"]["source"]["repoURL"] == repository
    assert yaml.safe_load(tree.text("argocd/apps/app.yaml"))["spec"]["source"]["repoURL"] == repository


def test_a_budget_needs_two_pods(tmp_path: Path) -> None:
    """Draining a node waits for a budget: of one pod it would wait for ever, so that has none."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    single = lab(tmp_path / "one", "app: {cluster: cluster, kubernetes: {spec: {replicas: 1}}}\n")
    tree = lab(tmp_path / "two", "app: {cluster: cluster, kubernetes: {spec: {replicas: 2}}}\n")
    assert "argocd/manifests/app/pdb.yaml" not in single.files
    budget = one(tree, "app/pdb.yaml")["spec"]
    assert budget["maxUnavailable"] == 1
    labels = one(tree, "app/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"] == labels


def test_an_exception_says_why(tmp_path: Path) -> None:
    """Pods that are not held to the strictest standard: the file says so, and because of what."""
    tree = lab(tmp_path, "app: {cluster: cluster, kubernetes: {spec: {replicas: 1}}}\nkiwix: {cluster: cluster}\n")
    second = tree.text("argocd/apps/app.yaml").splitlines()[1]
    assert second.startswith("# Its pods are held to `baseline`, ")
    assert second.endswith(": its `kubernetes:` block may ask for more")
    assert "# Its pods" not in tree.text("argocd/apps/kiwix.yaml")


@pytest.mark.parametrize(
    ("block", "backup", "method"),
    [
        ("backup: {barmanObjectStore: {destinationPath: 's3://b/pg'}}", True, "barmanObjectStore"),
        ("backup: {volumeSnapshot: {className: zfs}}", True, "volumeSnapshot"),
        ("plugins: [{name: barman-cloud.cloudnative-pg.io}]", True, "plugin"),
        ("instances: 2", True, ""),
        ("backup: {barmanObjectStore: {destinationPath: 's3://b/pg'}}", False, ""),
    ],
)
def test_a_database_is_backed_up_where_its_block_says(tmp_path: Path, block: str, backup: bool, method: str) -> None:
    """At the lab's time. Without a store, or without backups in the lab, nothing pretends to be one."""
    settings = LAB.replace("nfs]}, films", "nfs]}, kept: {path: /v/kept, by: [ssh]}, films")
    settings += "backup: {to: nas/kept, at: '03:05'}\n" if backup else ""
    services = (
        f"cloudnative-pg: {{cluster: cluster}}\npostgresql: {{cluster: cluster, kubernetes: {{spec: {{{block}}}}}}}\n"
    )
    tree = lab(tmp_path, services, settings=settings)
    assert ("argocd/manifests/postgresql/scheduledbackup.yaml" in tree.files) == bool(method)
    if method:
        spec = one(tree, "postgresql/scheduledbackup.yaml")["spec"]
        assert (spec["method"], spec["schedule"]) == (method, "0 5 3 * * *")
    assert ("nothing copies it elsewhere" in tree.text("argocd/README.md")) == (backup and not method)
    assert one(tree, "postgresql/cluster.yaml")["spec"]["enablePDB"] is ("instances" in block)
