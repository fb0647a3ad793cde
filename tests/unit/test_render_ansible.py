"""The renderer for Ansible: what a change touches, where callers reach a service, and what hostile values become.

Values are read back by the programs that read them for real: Ansible's own loader and templating, sh, plistlib.
"""

from __future__ import annotations

import plistlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.lab.app import App
from blumeops.render import yaml as writer
from blumeops.render.ansible import BECOMES, render
from blumeops.render.ansible.speak import SECRETS, account, comment
from blumeops.render.ansible.units import env_template
from blumeops.render.ansible.words import Expression, Said, in_file, in_plist, in_variable, quoted

LAB = """\
lab: test
network: {tailnet: example.ts.net, domain: ops.example.org}
hosts:
  server: {os: linux, role: compute, address: 192.0.2.1}
  other: {os: linux, role: compute}
  mac: {os: macos, role: compute}
clusters:
  cluster: {host: server, kind: k3s}
"""
CADDY = "caddy: {host: server}\n"
SERVICES = """\
postgresql: {host: server, name: pg}
miniflux: {host: server, name: feed, database: postgresql}
"""

HOSTILE = [
    "", " ", "{{ 7 * 7 }}", "{{", "}}", "{", "{%", "{# x #}", "{{{", "a{", "#jinja2: x", "!unsafe x", "&a *a", "- a",
    "a: b", "yes", "no", "on", "off", "0o17", "010", "1_000", "1:30", "~", "null", "1e3", "=", "<<", "%", "%%", "%h %c",
    "$HOME", "${HOME}", "$$", "`id`", "$(id)", "~/x", '"', "'", "''", "\\", "\\\\", "\\n", "a\\", "\n", "a\n", "\na",
    "a\nb\n\n", "\r", "a\r\nb", "\t", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff", "é", "😀", " lead", "trail ",
    "# comment", "a # b", ";", ":", "@x", "-x", "!x", "{{ lookup('pipe', 'id') }}", "{% raw %}", "{% endraw %}",
    '"; id; "', "op://a/b/c", "%c", "{{ '%c' % 10 }}",
]  # fmt: skip
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


PROGRAM = """\
import os, signal
def end(*_):
    print("told", flush=True)
    os._exit({code})
signal.signal(signal.SIGINT, end)
print("ready", os.environ["CODE"], flush=True)
while {told}:
    signal.pause()
os._exit({code})
"""


class Read(Protocol):
    """Ansible reads variables from a YAML file, and evaluates one of them or a template with them."""

    def __call__(self, text: str, variables: Mapping[str, object], template: str | None = None) -> Any: ...


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Ansible's loader and templating, used as its include_vars and template do."""
    from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]  # ships no types
    from ansible.plugins.loader import init_plugin_loader  # type: ignore[import-untyped]  # ships no types
    from ansible.template import Templar, trust_as_template  # type: ignore[import-untyped]  # ships no types

    init_plugin_loader()
    folder = tmp_path_factory.mktemp("ansible")

    def read(text: str, variables: Mapping[str, object], template: str | None = None) -> Any:
        loader = DataLoader()
        (folder / "vars.yml").write_bytes(text.encode())
        loaded = loader.load_from_file(str(folder / "vars.yml"), cache="none", trusted_as_template=True)
        templar = Templar(loader, {**loaded, **variables})
        if template is None:
            return templar.template(loaded)
        source = trust_as_template(template)
        return templar.template(source, escape_backslashes=False, overrides={"trim_blocks": True})

    return read


@pytest.fixture
def rendered(tmp_path: Path) -> Callable[..., FileTree]:
    """Renders a lab: services, and lab.yaml where it is another one."""

    def rendered(services: str, lab: str = LAB, apps: Mapping[str, str] | None = None) -> FileTree:
        (tmp_path / "services").mkdir(exist_ok=True)
        (tmp_path / "lab.yaml").write_text(lab)
        (tmp_path / "services/services.yaml").write_text(services)
        for path, text in (apps or {}).items():
            (tmp_path / "apps" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "apps" / path).write_text(text)
        checked = check_folder(tmp_path)
        assert checked.passed, checked.findings
        return render(checked.passed)

    return rendered


def test_every_field_of_an_app_becomes_something() -> None:
    """The table that the reference prints has each field of the app model, and no other."""
    assert list(BECOMES) == list(App.model_fields)


def test_same_input_same_bytes(rendered: Callable[..., FileTree]) -> None:
    """Rendered again, and with empty lines and comments before each service, it is the same to the byte."""
    first = rendered(CADDY + SERVICES)
    assert rendered(CADDY + SERVICES).files == first.files
    assert rendered("# A comment.\n\n" + CADDY + "\n# Another.\n" + SERVICES).files == first.files


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("feed,", "feed, options: {polling: 5m},", {"miniflux/defaults/main.yml"}),
        ("feed,", "feed, resources: {memory: 1Gi},", {"miniflux/templates/systemd.service.j2"}),
        ("feed,", 'feed, version: "2.2.7",', {"miniflux/defaults/main.yml"}),
        ("feed", "news", {"miniflux/defaults/main.yml", "caddy/templates/Caddyfile.j2"}),
    ],
)
def test_a_change_of_one_service_changes_its_own_files(
    rendered: Callable[..., FileTree], before: str, after: str, changed: set[str]
) -> None:
    """What a person changes is seen in one file of the role; a name also in the proxy's."""
    first = rendered(CADDY + SERVICES).files
    second = rendered(CADDY + SERVICES.replace(before, after)).files
    assert set(first) == set(second)
    assert {path.removeprefix("ansible/roles/") for path in first if first[path] != second[path]} == changed


def test_the_playbook_has_the_roles_in_the_order_in_which_they_start(rendered: Callable[..., FileTree]) -> None:
    """A provider comes before its user, each role has its tag, and the secrets of all are read once before."""
    play = document(rendered(SERVICES + CADDY), "server.yml")[0]
    roles = [role["role"] for role in play["roles"]]
    assert roles.index("postgresql") < roles.index("miniflux")
    assert [role["tags"] for role in play["roles"]] == [[role] for role in roles]
    (task,) = play["pre_tasks"]
    assert task["loop"] == [
        "op://lab/miniflux/admin-password", "op://lab/miniflux/database-password", "op://lab/postgresql/superuser-password",
    ]  # fmt: skip
    assert (task["no_log"], task["check_mode"], task["changed_when"], task["tags"]) == (True, False, False, ["always"])


def test_without_secrets_nothing_is_asked_for_one(rendered: Callable[..., FileTree]) -> None:
    """A host whose services have no secrets needs no `op`."""
    play = document(rendered(CADDY), "server.yml")[0]
    assert "pre_tasks" not in play
    assert "vars" not in play


def test_what_is_not_rendered_is_said(rendered: Callable[..., FileTree]) -> None:
    """On a Mac an app that is an image alone is named in a comment, with the reason; on Linux it has a role."""
    apps = {"box/app.yaml": "app: box\nversion: '1'\nsources: [{container: example.org/box}]\nstate: none\n"}
    tree = rendered(CADDY + "box: {host: mac}\nother: {app: box, host: server}\n", apps=apps)
    playbook = tree.text("ansible/mac.yml")
    assert "# Not rendered yet: box (an image, which is run on Linux hosts alone, not on macos).\n" in playbook
    assert not yaml.safe_load(playbook)[0]["roles"]
    roles = yaml.safe_load(tree.text("ansible/server.yml"))[0]["roles"]
    assert [role["role"] for role in roles] == ["caddy", "other"]


IMAGE = "image: 'example.org/box:1', ports: {http: 8000}, state: {data: /data}"


def unit_of(tree: FileTree, name: str) -> str:
    """The template of a service's unit."""
    return tree.text(f"ansible/roles/{name}/templates/systemd.service.j2")


def test_a_device_is_given_to_an_account_of_the_host(rendered: Callable[..., FileTree]) -> None:
    """Without a user namespace, in which no group of the host would be one; its state is the account's."""
    tree = rendered(CADDY + f"box: {{host: server, {IMAGE}, devices: [/dev/dri]}}\n")
    unit = unit_of(tree, "box")
    assert "--device=/dev/dri" in unit
    assert "--user={{ box_account.uid | default(65534) }}:{{ box_account.group | default(65534) }} \\\n" in unit
    assert "--read-only" in unit
    assert "--uidmap" not in unit
    assert "--cap-add" not in unit
    folders = [
        task for task in document(tree, "roles/box/tasks/main.yml") if task["name"].startswith("Make the folders")
    ]
    assert [task["ansible.builtin.file"]["owner"] for task in folders] == ["{{ box_user }}"]
    assert document(tree, "roles/box/vars/linux.yml")["box_user"] == "box"


def test_an_image_is_published_where_its_callers_are(rendered: Callable[..., FileTree]) -> None:
    """On the loopback for a proxy on its host, on all addresses for one on another."""
    near = rendered(CADDY + f"box: {{host: server, {IMAGE}}}\n")
    assert "--publish=127.0.0.1:8000:8000/tcp" in unit_of(near, "box")
    assert "--publish=0.0.0.0:8000:8000/tcp" in unit_of(rendered(CADDY + f"box: {{host: other, {IMAGE}}}\n"), "box")


def test_a_digest_stands_instead_of_the_tag(rendered: Callable[..., FileTree], tmp_path: Path) -> None:
    """Whether the lab has locked it, or names it with the image; Podman takes one of them."""
    digest = "sha256:" + "a1" * 32
    services = CADDY + f"box: {{host: server, {IMAGE}}}\n"
    services += f"own: {{host: server, {IMAGE.replace('box:1', f'own:2@{digest}').replace('8000', '8001')}}}\n"
    (tmp_path / "images.lock.yaml").write_text(f"example.org/box:1: {digest}\n")
    tree = rendered(services)
    for name in ("box", "own"):
        defaults = document(tree, f"roles/{name}/defaults/main.yml")
        assert defaults[f"{name}_image"] == f"example.org/{name}@{digest}"


def test_a_share_is_mounted_whatever_its_path(rendered: Callable[..., FileTree]) -> None:
    """Its folder on the host may have a comma: the mount's word is CSV, each field quoted."""
    lab = LAB.replace("address: 192.0.2.1}", "address: 192.0.2.1, shares: {music: {path: '/srv/a,b', by: [nfs]}}}")
    tree = rendered(CADDY + f"box: {{host: server, {IMAGE}, mounts: {{music: server/music}}}}\n", lab=lab)
    mount = next(line for line in unit_of(tree, "box").splitlines() if "/mnt/music" in line and "--mount" in line)
    quoted_path = "{{ box_mounts['music'] | to_json(ensure_ascii=false) | replace('%', '%%') | replace('$', '$$') }}"
    assert mount == f'    "--mount=type=bind,\\"src="{quoted_path}"\\",\\"dst=/mnt/music\\"" \\'


def test_only_who_calls_a_neighbour_reaches_the_loopback(rendered: Callable[..., FileTree], tmp_path: Path) -> None:
    """A part of a Compose file, which has a network of its own, is left out where it would have to."""
    app = (
        "app: store\nversion: '1'\nsources: [{deb: store}]\ncommand: [store]\nports: {http: 8090}\nstate: none\n"
        "provides: {database: {scheme: http, port: http, create: {command: [make]}}}\n"
    )
    url = "env: {URL: '{{ database.url }}'}"
    services = CADDY + f"store: {{host: server}}\nbox: {{host: server, database: store, {IMAGE}, {url}}}\n"
    services += f"alone: {{host: server, {IMAGE.replace('8000', '8001')}}}\n"
    compose = (
        "services: {web: {image: 'example.org/web:1', ports: ['8002:8002'], environment: {U: '{{ database.url }}'}}}"
    )
    (tmp_path / "compose.yaml").write_text(compose)
    services += "photos: {host: server, compose: compose.yaml, database: store}\n"
    tree = rendered(services, apps={"store/app.yaml": app})
    why = "a part of a Compose file has no way from its network to store on the loopback of its host"
    assert f"# Not rendered yet: photos ({why}).\n" in tree.text("ansible/server.yml")
    assert "--network=slirp4netns:allow_host_loopback=true" in unit_of(tree, "box")
    assert "@10.0.2.2:8090/" in document(tree, "roles/box/defaults/main.yml")["box_env"]["URL"]
    assert "--network" not in unit_of(tree, "alone")


def test_who_listens_where(rendered: Callable[..., FileTree]) -> None:
    """Loopback for neighbours; all addresses for callers on another host or in a cluster, who get its address."""
    near = rendered(CADDY + SERVICES)
    assert "listen_addresses=127.0.0.1 " in near.text("ansible/roles/postgresql/templates/systemd.service.j2")
    assert environment(near, "miniflux")["LISTEN_ADDR"] == "127.0.0.1:8080"
    far = rendered(CADDY + SERVICES.replace("miniflux: {host: server", "miniflux: {host: other"))
    assert "listen_addresses=0.0.0.0 " in far.text("ansible/roles/postgresql/templates/systemd.service.j2")
    assert "@192.0.2.1:5432/" in environment(far, "miniflux")["DATABASE_URL"]
    assert environment(far, "miniflux")["LISTEN_ADDR"] == "0.0.0.0:8080"
    assert "reverse_proxy other:8080\n" in far.text("ansible/roles/caddy/templates/Caddyfile.j2")
    pods = rendered(CADDY + SERVICES.replace("miniflux: {host: server", "miniflux: {cluster: cluster"))
    assert "listen_addresses=0.0.0.0 " in pods.text("ansible/roles/postgresql/templates/systemd.service.j2")
    caddyfile = pods.text("ansible/roles/caddy/templates/Caddyfile.j2")
    assert "reverse_proxy https://feed.example.ts.net {\n\t\theader_up Host {upstream_hostport}\n\t}\n" in caddyfile


def test_who_makes_a_database(rendered: Callable[..., FileTree]) -> None:
    """The user's role, where the provider runs; for a user in a cluster, which has no role, the provider's own."""

    def grants(tree: FileTree, role: str) -> list[Any]:
        tasks = document(tree, f"roles/{role}/tasks/main.yml")
        return [task for task in tasks if task["name"].startswith("Make the database of ")]

    (here,) = grants(rendered(CADDY + SERVICES), "miniflux")
    assert "delegate_to" not in here
    assert here["become_user"] == "{{ postgresql_user }}"
    assert here["environment"]["PGHOST"] == "127.0.0.1"
    far = rendered(CADDY + SERVICES.replace("miniflux: {host: server", "miniflux: {host: other"))
    (there,) = grants(far, "miniflux")
    assert there["delegate_to"] == "server"
    assert there["environment"]["PGHOST"] == "127.0.0.1"
    assert grants(far, "postgresql") == []
    pods = rendered(CADDY + SERVICES.replace("miniflux: {host: server", "miniflux: {cluster: cluster"))
    (own,) = grants(pods, "postgresql")
    assert own["no_log"] is True
    kept = rendered(CADDY + SERVICES.replace("postgresql: {host: server", "postgresql: {cluster: cluster"))
    assert grants(kept, "miniflux") == []
    assert "@pg.example.ts.net:5432/" in environment(kept, "miniflux")["DATABASE_URL"]


def test_certificates_are_caddys_own_or_the_dns_providers(rendered: Callable[..., FileTree]) -> None:
    """Without DNS the internal CA; with it the provider's plugin, whose token is a secret of the environment."""
    assert "\ttls internal\n" in rendered(CADDY + SERVICES).text("ansible/roles/caddy/templates/Caddyfile.j2")
    dns = "ops.example.org, dns: {provider: gandi, token: op://lab/gandi/pat}}"
    tree = rendered(CADDY + SERVICES, LAB.replace("ops.example.org}", dns))
    routes = tree.text("ansible/roles/caddy/templates/Caddyfile.j2")
    assert routes.count("tls") == 1
    assert "\nhttps://*.ops.example.org {\n\ttls {\n\t\tdns gandi {env.DNS_TOKEN}\n\t}\n" in routes
    assert environment(tree, "caddy")["DNS_TOKEN"] == f"{{{{ {SECRETS}['op://lab/gandi/pat'] }}}}"


def test_a_websocket_outlives_a_reload(rendered: Callable[..., FileTree]) -> None:
    """Wherever Caddy is not Debian's, which does not know the word: built with a plugin, or Homebrew's."""
    path, kept = "ansible/roles/caddy/templates/Caddyfile.j2", "\t\tstream_close_delay 24h\n\t}\n"
    assert "stream_close_delay" not in rendered(CADDY + SERVICES).text(path)
    mac = LAB.replace("server: {os: linux", "server: {os: macos")
    assert mac != LAB
    assert f"reverse_proxy 127.0.0.1:8080 {{\n{kept}" in rendered(CADDY + SERVICES, mac).text(path)
    dns = LAB.replace("ops.example.org}", "ops.example.org, dns: {provider: gandi, token: op://lab/gandi/pat}}")
    pods = CADDY + SERVICES.replace("miniflux: {host: server", "miniflux: {cluster: cluster")
    assert f"\t\theader_up Host {{upstream_hostport}}\n{kept}" in rendered(pods, dns).text(path)


def test_a_caddy_with_a_plugin_is_built(rendered: Callable[..., FileTree]) -> None:
    """By xcaddy, on both systems, in a folder of its own by version and plugin; no package of Caddy is installed."""
    dns = "ops.example.org, dns: {provider: gandi, token: op://lab/gandi/pat%s}}"
    folders = set()
    for more, version in (("", "2.11.7"), (", plugin: example.org/x/gandi@v2.0.0", "2.11.7"), ("", "2.11.8")):
        services = CADDY.replace("server}", f'server, version: "{version}"}}') + SERVICES
        tree = rendered(services, LAB.replace("ops.example.org}", dns % more))
        plugin = "example.org/x/gandi@v2.0.0" if more else "github.com/caddy-dns/gandi@v1.1.0"
        for system in ("linux", "macos"):
            tasks = document(tree, f"roles/caddy/tasks/{system}.yml")
            (build,) = (task for task in tasks if "Build caddy" in task["name"])
            words = build["ansible.builtin.command"]["argv"]
            assert words[3:7] == ["build", f"v{version}", "--with", plugin]
            assert words[-1] == build["ansible.builtin.command"]["creates"] == "{{ caddy_build }}/caddy"
            assert not any("caddy_package" in str(task) or "caddy_formula" in str(task) for task in tasks)
        paths = document(tree, "roles/caddy/vars/linux.yml")
        assert paths["caddy_path"].startswith("{{ caddy_build }}:")
        folders.add(paths["caddy_build"])
    assert len(folders) == 3
    assert not any("xcaddy" in rendered(CADDY + SERVICES).text(path) for path in rendered(CADDY + SERVICES))


def test_capabilities_only_where_a_port_needs_them(rendered: Callable[..., FileTree]) -> None:
    """A port below 1024 gives one capability; any other none at all."""
    tree = rendered(CADDY + SERVICES)
    assert "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n" in tree.text(
        "ansible/roles/caddy/templates/systemd.service.j2"
    )
    unit = tree.text("ansible/roles/miniflux/templates/systemd.service.j2")
    assert "AmbientCapabilities" not in unit
    assert "\nCapabilityBoundingSet=\n" in unit


def test_a_package_unit_of_the_services_own_name_is_not_masked(rendered: Callable[..., FileTree]) -> None:
    """A mask is a link where our unit has to lie; under another name the package's unit is masked."""
    same = document(rendered(CADDY + "prometheus: {host: server}\n"), "roles/prometheus/tasks/linux.yml")
    assert not any("masked" in str(task) for task in same)
    other = document(rendered(CADDY + "metrics: {app: prometheus, host: server}\n"), "roles/metrics/tasks/linux.yml")
    assert [task["loop"] for task in other if "masked" in str(task)] == [["prometheus.service"]]


def test_a_job_has_a_timer(rendered: Callable[..., FileTree]) -> None:
    """What runs at set times is started by a timer or a calendar, at the time of the backups, and not kept up."""
    tree = rendered(CADDY + "borgmatic: {host: server}\n").files
    role = {path.removeprefix("ansible/roles/borgmatic/"): text.decode() for path, text in tree.items()}
    assert "OnCalendar=*-*-* 02:00:00\n" in role["templates/systemd.timer.j2"]
    assert "\nType=oneshot\n" in role["templates/systemd.service.j2"]
    assert "Restart=" not in role["templates/systemd.service.j2"]
    agent = plistlib.loads(role["templates/launchd.plist.j2"].encode())
    assert agent["StartCalendarInterval"] == {"Hour": 2, "Minute": 0}
    assert "KeepAlive" not in agent


def test_no_secret_is_printed(rendered: Callable[..., FileTree]) -> None:
    """Each task whose arguments, environment or template hold a secret has no_log; files of secrets are private."""
    tree = rendered(CADDY + SERVICES)
    for service in ("postgresql", "miniflux"):
        for task in document(tree, f"roles/{service}/tasks/main.yml"):
            template = task.get("ansible.builtin.template", {}).get("src", "")
            text = str(task) + (tree.text(f"ansible/roles/{service}/templates/{template}") if template else "")
            if SECRETS in text or (template == "env.j2" and SECRETS in str(environment(tree, service))):
                assert task["no_log"] is True, task["name"]
                arguments = task.get("ansible.builtin.template") or task.get("ansible.builtin.copy") or {"mode": "0600"}
                assert arguments["mode"] in ("0600", f"{{{{ {service}_mode }}}}")


def test_accounts_are_names_that_systems_take() -> None:
    """A service's name, or as much of it as useradd takes, and still one of its own."""
    assert account("miniflux") == "miniflux"
    long, longer = account("a" * 40), account("a" * 41)
    assert len(long) == len(longer) == 32
    assert long != longer


def test_a_header_ends_no_comment() -> None:
    """A file's name in it can end neither a line nor a comment of Jinja or XML, nor start an expression."""
    header = comment("services/a #}{{ x }}\n--> b.yaml", "service a")
    assert not {"{", "}", "\n", ">", "#"} & set(header)
    assert "--" not in header


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_come_out_of_ansible_as_they_went_in(read: Read, value: str) -> None:
    """In a variable, beside an expression, within one, in a template: the very characters."""
    survives(read, value)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=60
)
@given(value=ANY)
def test_any_value_comes_out_of_ansible_as_it_went_in(read: Read, value: str) -> None:
    """The same for whatever text there is."""
    survives(read, value)


def survives(read: Read, value: str) -> None:
    """Pass `value` through each way by which Ansible gets it."""
    plain: Said = (value,)
    mixed: Said = (value, Expression("x"), value)
    within = f"{{{{ {SECRETS}[{quoted(value)}] }}}}"
    variables = {"x": "<{{ not evaluated }}\\>", SECRETS: {value: "secret"}}
    texts = {"plain": in_variable(plain), "mixed": in_variable(mixed), "within": within, "listed": [in_variable(plain)]}
    got = read(writer.text(texts), variables)
    around = f"{value}<{{{{ not evaluated }}}}\\>{value}"
    assert got == {"plain": value, "mixed": around, "within": "secret", "listed": [value]}
    assert read("a: b\n", variables, "{# header #}\n" + in_file((*mixed, "|"))) == around + "|"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=5)
@given(values=st.lists(ANY, max_size=10).map(lambda values: [*values, *HOSTILE]))
def test_sh_reads_the_environment_file_as_it_was_meant(read: Read, values: Sequence[str], tmp_path: Path) -> None:
    """What launchd's shell sources has every value unchanged, newlines and quotes too."""

    class Named:
        """As much of a role as the template asks for."""

        contained = False

        def name_of(self, name: str) -> str:
            return f"test_{name}"

    wanted = {f"V{number}": value for number, value in enumerate(values)}
    variables = writer.text({"test_env": {name: in_variable((value,)) for name, value in wanted.items()}})
    file = tmp_path / "env"
    file.write_bytes(read(variables, {}, env_template(Named())).encode())  # type: ignore[arg-type]  # has all it asks for
    done = subprocess.run(
        ["sh", "-c", 'set -a; . "$0"; set +a; exec env -0', file],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    found = dict(pair.split(b"=", 1) for pair in done.stdout.split(b"\0") if pair)
    assert {name: found[name.encode()].decode() for name in wanted} == wanted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_a_plist_has_the_value(read: Read, value: str) -> None:
    """A string of the agent is the text and the value of an expression, whatever XML makes of their characters."""
    template = "<plist><string>" + in_plist(("\r\n<" + value, Expression("x"))) + "</string></plist>"
    text = read("a: b\n", {"x": value}, template)
    assert plistlib.loads(b'<?xml version="1.0"?>' + text.encode()) == "\r\n<" + value + value


@pytest.mark.parametrize("code", [0, 7])
@pytest.mark.parametrize("told", [True, False])
def test_the_agents_shell_passes_the_signal_on(
    rendered: Callable[..., FileTree], tmp_path: Path, told: bool, code: int
) -> None:
    """TERM to the shell is INT to PostgreSQL; the shell ends with the program's own code, and not before."""
    agent = plistlib.loads(rendered(CADDY + SERVICES).files["ansible/roles/postgresql/templates/launchd.plist.j2"])
    shell = agent["ProgramArguments"][:3]
    (tmp_path / "env").write_text('CODE="7"\n')
    (tmp_path / "program").write_text(PROGRAM.format(code=code, told=told))
    with subprocess.Popen(
        [*shell, tmp_path / "env", sys.executable, tmp_path / "program"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready 7\n"
        if told:
            process.terminate()
            assert process.stdout.readline() == "told\n"
        assert process.wait(10) == code


def document(tree: FileTree, path: str) -> Any:
    """One of the YAML files."""
    return yaml.safe_load(tree.text(f"ansible/{path}"))


def environment(tree: FileTree, role: str) -> dict[str, str]:
    """The environment of a service, as its role has it."""
    variables: dict[str, dict[str, str]] = document(tree, f"roles/{role}/defaults/main.yml")
    return variables[f"{role}_env"]
