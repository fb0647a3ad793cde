"""Site `here`: pure, the same bytes each time, and every value arrives as it was written."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blumeops.checks.check import check_folder
from blumeops.lab.app import App
from blumeops.render import local
from blumeops.render.local_unit import FolderPart, LocalUnit, Part, PortPart, Route, SecretFilePart, SecretPart, Text
from tests.written import LAB as SMALL
from tests.written import passed

LABS = Path(__file__).parents[2] / "labs"
IMAGE = "im:\n  cluster: pods\n  image: a:1\n  state: none\n"


def units(folder: Path, services: str) -> dict[str, LocalUnit]:
    """The units of a lab with these services."""
    return local.units(local.render(passed(folder, {"services/a.yaml": services})))


@pytest.mark.parametrize("name", ["first", "blumeops"])
def test_rendering_is_pure(name: str) -> None:
    """The same description gives the same bytes, and every unit is read back as it was."""
    one, two = (check_folder(LABS / name).passed for _ in range(2))
    assert one and two
    tree = local.render(one)
    assert tree.files == local.render(two).files
    assert tree.digest == local.render(one).digest
    assert {f"units/{each}.json" for each in local.units(tree)} == set(tree)


def test_the_order_in_the_files_changes_no_byte(tmp_path: Path) -> None:
    """Services moved about, in one file or several, are the same services."""
    lines = [
        "caddy: {host: box}\n",
        "db: {cluster: pods, app: postgresql}\n",
        "miniflux: {cluster: pods, database: db}\n",
    ]
    one = passed(tmp_path / "one", {"services/a.yaml": "".join(lines)})
    two = passed(tmp_path / "two", {"services/a.yaml": "".join(reversed(lines))})
    assert local.render(one).files == local.render(two).files


def test_every_field_of_an_app_has_a_meaning_here() -> None:
    """The table of the reference is whole."""
    assert set(local.BECOMES) == set(App.model_fields)


@pytest.mark.parametrize(
    ("lab", "service", "heals"),
    [("", "", True), ("false", "", False), ("false", "heal: true", True), ("", "heal: false", False)],
)
def test_the_service_says_last_whether_it_is_healed(tmp_path: Path, lab: str, service: str, heals: bool) -> None:
    """`gitops.heal` is for all services that do not say it themselves."""
    services = f"caddy: {{host: box}}\nkiwix: {{host: box, {service}}}\n"
    settings = f"gitops: {{heal: {lab}}}\n" if lab else ""
    checked = passed(tmp_path, {"services/a.yaml": services, "lab.yaml": SMALL + settings})
    assert local.units(local.render(checked))["kiwix"].heal is heals


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
HOSTILE = st.one_of(TEXT, st.text("{}%$'\"\\<>&|;`\n\t #:-*!?é\u202e\u2028", max_size=60)).filter(
    lambda text: "{{" not in text
)


@given(st.dictionaries(st.sampled_from(["A", "B_1", "PATH"]), HOSTILE, max_size=3))
@settings(deadline=None, max_examples=40)
def test_hostile_values_arrive_as_they_were_written(env: dict[str, str]) -> None:
    """From the text of a service, through YAML, wiring and JSON, to the unit: the same value."""
    with TemporaryDirectory() as folder:
        text = f"{IMAGE}  env: {json.dumps(env, ensure_ascii=False)}\n"
        text = re.sub("[\x7f-\x9f\u2028\u2029\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)
        found = local.units(local.render(passed(Path(folder), {"services/a.yaml": text})))["im"].env
        assert found == {name: ((value,) if value else ()) for name, value in env.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ listen.http }}", ("127.0.0.1:", PortPart(port="http"))),
        ("{{ address.http.port }}", (PortPart(port="http"),)),
        ("{{ state.data }}", (FolderPart(folder="state", name="data"),)),
        ("{{ run }}/s", (FolderPart(folder="run"), "/s")),
        ("{{ files.app.ini }}", (FolderPart(folder="config", name="app.ini"),)),
        ("{{ mounts.music }}", (FolderPart(folder="share", name="box/music"),)),
        ("{{ secrets.key }}", (SecretPart(secret="op://lab/own/key"),)),
        ("{{ secrets.key.file }}", (SecretFilePart(secret_file="key"),)),
        ("{{ service.url }}", ("https://own.ops.localhost:8443",)),
        ("{{ database.host }}:{{ database.port }}", ("127.0.0.1:", PortPart(port="sql", unit="postgresql"))),
        ("{{ options.a }}", ("b",)),
    ],
)
def test_the_words_of_this_engine(text: str, wanted: tuple[Part, ...], tmp_path: Path) -> None:
    """What only the running machine knows stays a reference; all else is said."""
    found = units_with(tmp_path, f"env: {{X: '{text}'}}\n")["own"]
    assert found.env["X"] == wanted


OWN = (
    "app: own\nversion: '1'\nstate: {data: /d}\nports: {http: 80}\ncommand: [own]\noptions: {a: {default: b}}\n"
    "secrets: {key: {}}\nfiles: {app.ini: {path: /a, template: app.ini}}\n"
)
SERVICES = "own: {host: box, mounts: {music: box/music}, database: postgresql}\npostgresql: {cluster: pods}\n"
LAB = (
    "lab: l\nhosts: {box: {os: linux, role: compute, shares: {music: {path: /m, by: [nfs]}}}}\n"
    "clusters: {pods: {host: box}}\n"
)


def units_with(folder: Path, more: str) -> dict[str, LocalUnit]:
    """The units of a lab with an app of its own that says `more`."""
    files = {"lab.yaml": LAB, "services/a.yaml": SERVICES, "apps/own/app.yaml": OWN + more, "apps/own/app.ini": "i"}
    return local.units(local.render(passed(folder, files)))


@pytest.mark.parametrize(
    "more",
    [
        "env: {X: '{{ secrets.key.file }}'}\n", "reload: [r, '{{ secrets.key.file }}']\n",
        "health: {command: [h, '{{ secrets.key.file }}']}\n",
        "init: {command: ['{{ secrets.key.file }}'], creates: x}\n",
    ],
)  # fmt: skip
def test_a_secret_that_is_looked_up_as_a_file_is_given_as_one(more: str, tmp_path: Path) -> None:
    """Wherever it is looked up."""
    assert units_with(tmp_path, more)["own"].secret_files == {"key": "op://lab/own/key"}


def test_a_grant_speaks_for_the_provider_in_its_users_unit(tmp_path: Path) -> None:
    """The provider's port is named as the provider's, the user's password as a reference."""
    (grant,) = units_with(tmp_path, "")["own"].grants
    assert grant.provider == "postgresql"
    assert grant.env["PGPORT"] == (PortPart(port="sql", unit="postgresql"),)
    assert grant.env["NEW_PASSWORD"] == (SecretPart(secret="op://lab/own/database-password"),)


def test_a_port_may_be_changed_alone(tmp_path: Path) -> None:
    """The other ports of the app are still there."""
    found = units(tmp_path, "loki: {host: box, ports: {http: 3101}}\n")["loki"].ports
    assert set(found) == {"http", "grpc"}


def test_what_cannot_run_here_says_why(tmp_path: Path) -> None:
    """A part of a cluster is built in; a job is one. Whether an image can run, only the machine knows."""
    found = units(tmp_path, f"{IMAGE}argocd: {{cluster: pods}}\nborgmatic: {{host: box}}\n")
    assert found["im"].unavailable == ""
    assert (found["argocd"].provided, found["argocd"].unavailable) == ("the loop, which applies each revision", "")
    assert found["borgmatic"].kind == "job"


def caddy_adapts(text: str, folder: Path) -> dict[str, object]:
    """What the real Caddy reads from a Caddyfile. Raises when it reads nothing."""
    import shutil
    import sys

    program = shutil.which("caddy", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin")
    if program is None:
        pytest.skip("there is no caddy in this environment")
    file = folder / "Caddyfile"
    file.write_text(text)
    done = subprocess.run(
        [program, "adapt", "--config", str(file)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def said_on(machine: Callable[[FolderPart | PortPart], str], text: Text) -> str:
    """A text as the engine would say it, on a machine with these folders."""
    return "".join(part if isinstance(part, str) else machine(part) for part in text)  # type: ignore[arg-type]  # only str is tested for


@pytest.mark.parametrize("state", ["/var/lib/site", "/Users/me/Library/Application Support/blumeops"])
def test_caddy_reads_the_routes(state: str, tmp_path: Path) -> None:
    """Its two folders are where names are looked up, also where a folder's name has spaces; no service is named."""
    services = "caddy: {host: box}\ngrafana: {host: box, name: import}\nloki: {cluster: pods, name: x--y}\n"
    found = units(tmp_path, services)
    assert found["grafana"].route == Route(label="import", port="http")
    assert found["loki"].route == Route(label="x--y", port="http")
    assert found["caddy"].route is None
    assert units(tmp_path, "caddy: {host: box}\n")["caddy"] == found["caddy"]
    folders = {"run": "/run/s", "upstreams": f"{state}/upstreams", "pages": f"{state}/pages"}

    def machine(part: FolderPart | PortPart) -> str:
        if isinstance(part, PortPart):
            assert part == PortPart(port="metrics")
            return "21000"
        assert not part.name
        return folders[part.folder]

    text = said_on(machine, found["caddy"].files["Caddyfile"])
    adapted = json.dumps(caddy_adapts(text, tmp_path))
    assert '{"host": ["*.ops.localhost"]}' in adapted
    assert f'"root": "{state}/upstreams", "try_files": ["/{{blumeops.name}}/*"]' in adapted
    assert f'"root": "{state}/pages", "try_files": ["/{{blumeops.name}}.html"]' in adapted
    assert '{"dial": "127.0.0.1:{blumeops.port}"}' in adapted
    assert "unix//run/s/admin.sock" in adapted
    assert '"listen": ["127.0.0.1:21000"], "routes": [{"handle": [{"handler": "metrics"}]}]' in adapted


def test_the_check_with_caddy_can_fail(tmp_path: Path) -> None:
    """A Caddyfile that is none is refused."""
    with pytest.raises(AssertionError, match="adapt"):
        caddy_adapts("x {\n", tmp_path)
