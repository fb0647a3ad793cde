"""Loading a lab: everything that is wrong is told at once, at its place, and what is right is read all the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from blumeops.base.errors import UserError
from blumeops.lab.files import find_lab
from blumeops.lab.load import load
from tests.written import LAB, check, passed, said, write

A = "services/a.yaml"
OWN = "app: own\nversion: '1'\nstate: none\nports: {http: 80}\ncommand: [x]\n"
IMAGE = "im: {cluster: pods, state: none, "


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ["lab.yaml:1:1: BLU102 lab: is missing"]),
        ("# nothing\n", ["lab.yaml:1:1: BLU102 lab: is missing"]),
        (
            "- a\n",
            ["lab.yaml:1:1: BLU102 lab: is missing", "lab.yaml:1:1: BLU103 lab.yaml: must be a mapping of sections"],
        ),
        ("lab: 12\n", ["lab.yaml:1:6: BLU103 lab: must be text, not 12"]),
        ("lab: x\nhosts: [a]\n", ["lab.yaml:2:8: BLU103 hosts: must be a mapping (`key: value` lines), not a list"]),
        ("lab: x\nnetwrk: {}\n", ["lab.yaml:2:1: BLU101 netwrk: there is no such field"]),
        (
            "lab: x\nbackup: {to: a, at: 2:00, keep: {daily: 0, dayly: 1}}\n",
            [
                "lab.yaml:2:14: BLU103 backup.to: must be HOST/SHARE, not 'a'",
                "lab.yaml:2:21: BLU103 backup.at: must be a time like \"02:00\", in quotes, not '2:00'",
                "lab.yaml:2:41: BLU103 backup.keep.daily: must be at least 1, not 0",
                (
                    "lab.yaml:2:44: BLU103 backup.keep.dayly: must be 'hourly', 'daily', 'weekly', 'monthly' "
                    "or 'yearly', not 'dayly'"
                ),
            ],
        ),
        (
            "lab: x\nhosts: {Box: {os: linux, role: compute}, b: {os: bsd, role: compute, memry: 1Gi}}\n",
            [
                (
                    "lab.yaml:2:9: BLU103 hosts.Box: must be a name of lower-case letters, digits and hyphens "
                    "that begins with a "
                    "letter, 50 at most, not 'Box'"
                ),
                "lab.yaml:2:50: BLU103 hosts.b.os: must be 'macos', 'linux' or 'dsm', not 'bsd'",
                "lab.yaml:2:70: BLU101 hosts.b.memry: there is no such field",
            ],
        ),
        (
            'lab: x\nnetwork: {domain: "a.b {\\n x", tailnet: one}\n',
            [
                (
                    "lab.yaml:2:19: BLU103 network.domain: must be a domain like ops.example.org, in lower "
                    "case, not 'a.b {\\n x'"
                ),
                (
                    "lab.yaml:2:41: BLU103 network.tailnet: must be a domain like ops.example.org, in lower "
                    "case, not 'one'"
                ),
            ],
        ),
        (
            'lab: x\npeople: {me: {login: "a\\nb", role: boss}, you: {}}\n',
            [
                "lab.yaml:2:22: BLU103 people.me.login: must be text on one line, not 'a\\nb'",
                "lab.yaml:2:36: BLU103 people.me.role: must be 'admin' or 'member', not 'boss'",
                "lab.yaml:2:43: BLU102 people.you.login: is missing",
            ],
        ),
        (
            "lab: x\nhere: {https: 0, forge: true}\n",
            [
                "lab.yaml:2:15: BLU103 here.https: 0 is not between 1 and 65535",
                "lab.yaml:2:25: BLU103 here.forge: must be a whole number, not true",
            ],
        ),
    ],
)
def test_what_can_be_wrong_with_lab_yaml(text: str, wanted: list[str], tmp_path: Path) -> None:
    """Each section is judged by itself, so one that is wrong does not hide the others."""
    assert said(tmp_path, {"lab.yaml": text}) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("caddy: {host: box, alow: [x]}", ["1:20: BLU101 caddy.alow: there is no such field"]),
        ("caddy:", ["1:7: BLU103 caddy: is placed nowhere: name its `host:` or its `cluster:`"]),
        (
            "caddy: {alow: x}",
            [
                "1:8: BLU103 caddy: is placed nowhere: name its `host:` or its `cluster:`",
                "1:9: BLU101 caddy.alow: there is no such field",
            ],
        ),
        (
            "caddy: {host: box, cluster: pods}",
            ["1:8: BLU103 caddy: is placed twice: keep its `host:` or its `cluster:`"],
        ),
        ("caddy: 12", ["1:8: BLU103 caddy: must be a mapping (`key: value` lines), not 12"]),
        ("- caddy", ["1:1: BLU103 services/a.yaml: must be a mapping of services"]),
        ("Caddy: {host: box, app: caddy}", ["1:1: BLU105 Caddy: cannot be a service's name"]),
        ("../x: {host: box, app: caddy}", ["1:1: BLU105 ../x: cannot be a service's name"]),
        ("'': {host: box, app: caddy}", ['1:1: BLU105 "": cannot be a service\'s name']),
        ("c-: {host: box, app: caddy}", ["1:1: BLU105 c-: cannot be a service's name"]),
        ("é: {host: box, app: caddy}", ["1:1: BLU105 é: cannot be a service's name"]),
        ('"c\\e[1m\\n": {host: box, app: caddy}', ["1:1: BLU105 c\\x1b[1m\\n: cannot be a service's name"]),
        (
            IMAGE + "image: a:1, role: b}",
            [("1:5: BLU103 im: runs one of app, image, chart, manifests, compose, role: keep one of them")],
        ),
        (
            IMAGE + "image: a:1, version: '2'}",
            ["1:5: BLU103 im: says its version twice: the tag of its `image:` is the version"],
        ),
        (
            IMAGE + "image: a:1, env: {A: 022, B: 1.10, C: {}, D: '{{', 1E: x}}",
            [
                "1:55: BLU103 im.env.A: 022 is read as the number 22",
                "1:63: BLU103 im.env.B: 1.10 is read as the number 1.1",
                "1:72: BLU103 im.env.C: must be text, not a mapping",
                "1:79: BLU103 im.env.D: '{{' is no lookup: write {{ a.dotted.name }}",
                "1:85: BLU103 im.env.1E: must be a name for the environment: letters, digits and _, not '1E'",
            ],
        ),
        (
            "im: {cluster: pods, image: a:1, state: {database: no}}",
            [("1:51: BLU103 im.state.database: must be true or false, not 'no'")],
        ),
        (
            IMAGE + "image: a:1, ports: {a: '80', b: 0, c: {port: 1, entry: yes}}}",
            [
                "1:57: BLU103 im.ports.a: must be a whole number, not '80'",
                "1:66: BLU103 im.ports.b: 0 is not between 1 and 65535",
                "1:89: BLU103 im.ports.c.entry: must be true or false, not 'yes'",
            ],
        ),
        (
            "caddy: {host: box, options: {x: {y: 1}, z: [[1]]}}",
            [
                "1:33: BLU103 caddy.options.x: must be true or false, a number, text or a list, not a mapping",
                "1:45: BLU103 caddy.options.z.0: must be true or false, a number or text, not a list",
            ],
        ),
        (
            "caddy: {host: box, health: {tcp: https, within: 0s}}",
            ["1:49: BLU103 caddy.health.within: must be longer than 0s"],
        ),
        ("caddy: {host: box, mounts: {m: a}}", ["1:32: BLU103 caddy.mounts.m: must be HOST/SHARE, not 'a'"]),
    ],
)
def test_what_can_be_wrong_with_a_service(text: str, wanted: list[str], tmp_path: Path) -> None:
    """The place of the field, its path, and what it must be."""
    assert said(tmp_path, {A: text + "\n"}) == [
        line if line.startswith("services") else f"{A}:{line}" for line in wanted
    ]


@pytest.mark.parametrize(
    ("image", "container", "version"),
    [
        ("docker.io/a/b:1.2", "docker.io/a/b", "1.2"),
        ("b:v1", "b", "v1"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b", "1"),
        ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
        ("b", "b", "latest"),
        ("b@sha256:" + "a" * 64, "b@sha256", "a" * 64),
        ("r.io:1/a__b.c-d:1@sha256:" + "0" * 64, "r.io:1/a__b.c-d:1@sha256", "0" * 64),
    ],
)
def test_an_image_is_split_into_source_and_version(image: str, container: str, version: str, tmp_path: Path) -> None:
    """With a colon between them the two are the image again; a registry's port is no tag."""
    app = check(tmp_path, {A: f"{IMAGE}image: '{image}'}}\n"})
    found = load(tmp_path).lab.apps["=im"]
    assert (found.sources[0].container, found.version) == (container, version)
    assert [finding.code for finding in app.findings] == (["BLU130"] if version == "latest" else [])


@pytest.mark.parametrize(
    "image", ["x:", ":1", "x: y", "x:ta g", "-x:1", "http://x:1", "a/B:1", "x:v1+2", "x@sha256:1", "../x", "x;y"]
)
def test_what_is_no_image(image: str, tmp_path: Path) -> None:
    """It is refused as a value of the description, and nothing else is said of the service."""
    assert [finding.code for finding in check(tmp_path, {A: f"{IMAGE}image: '{image}'}}\n"}).findings] == ["BLU103"]


def test_a_value_in_the_place_of_a_secret_is_not_repeated(tmp_path: Path) -> None:
    """Somebody may have written the password itself."""
    text = (
        "postgresql: {cluster: pods, secrets: {superuser_password: hunter2}}\ncaddy: {host: box, secrets: hunter2}\n"
        "grafana: {cluster: pods, secrets: {admin_password: [hunter2], secret_key: 4711}}\n"
    )
    lab = f"{LAB}network: {{domain: ops.example.org, dns: {{provider: gandi, token: hunter2}}}}\n"
    findings = check(tmp_path, {"lab.yaml": lab, A: text}).findings
    assert len(findings) == 6
    assert not [finding for finding in findings if "hunter2" in str(finding) or "4711" in str(finding)]


def test_one_wrong_field_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    """The service is checked without it, and nothing is said that follows from its absence."""
    text = "miniflux: {cluster: pods, database: 12, allow: [nobody], options: {pollin: 1h}}\n"
    assert said(tmp_path, {A: text}) == [
        f"{A}:1:37: BLU103 miniflux.database: must be text, not 12",
        f"{A}:1:49: BLU114 miniflux: there is no caller `nobody`",
        f"{A}:1:68: BLU122 miniflux: miniflux has no option `pollin`",
    ]


@pytest.mark.parametrize(
    "lab",
    ["lab: [\n", "lab: x\nhosts: []\nclusters: []\n", LAB.replace("linux", "linus").replace("host: box", "host: 1")],
)
def test_what_could_not_be_read_is_not_missed_as_well(lab: str, tmp_path: Path) -> None:
    """A reference to something that is described wrongly is no second mistake."""
    found = check(
        tmp_path, {"lab.yaml": lab, A: "caddy: {host: box}\ngrafana: {cluster: pods, allow: [someone]}\n"}
    ).findings
    assert {finding.place.file for finding in found if finding.code != "BLU114"} == {"lab.yaml"}


def test_a_broken_file_of_services_may_hold_what_others_name(tmp_path: Path) -> None:
    """Only the file itself is told."""
    files = {A: "postgresql: [", "services/b.yaml": "miniflux: {cluster: pods, database: postgresql}\n"}
    assert [line[:23] for line in said(tmp_path, files)] == ["services/a.yaml:2:1: BL"]


def test_a_service_may_stand_once(tmp_path: Path) -> None:
    """The second one names the place of the first."""
    files = {A: "caddy: {host: box}\n", "services/b.yaml": "\ncaddy: {host: box}\n"}
    assert said(tmp_path, files) == [f"services/b.yaml:2:1: BLU104 caddy: stands here and in {A}:1:1"]


def test_files_that_are_not_read_are_told(tmp_path: Path) -> None:
    """A wrong ending, or a name that would spoil messages; what begins with a dot belongs to an editor."""
    files: dict[str, str | bytes] = {
        "services/a.yml": "x: 1",
        "services/b\n.yaml": "x: 1",
        "services/.#c.yaml": "x: [",
        "services/README.md": "x",
    }
    assert said(tmp_path, files) == [
        "services/a.yml:1:1: BLU007 services/a.yml: is not read",
        "services/b\\n.yaml:1:1: BLU007 services/b\\n.yaml: is not read",
    ]


def test_only_plain_files_below_the_lab_are_opened(tmp_path: Path) -> None:
    """Links out of the tree, loops, folders and pipes are findings; none is followed or waited for."""
    write(tmp_path / "lab", {A: "own: {host: box}\n"})
    (tmp_path / "outside.yaml").write_text("canary: {host: box}\n")
    (tmp_path / "apps" / "own").mkdir(parents=True)
    (tmp_path / "apps" / "own" / "app.yaml").write_text(OWN)
    services = tmp_path / "lab" / "services"
    (services / "b.yaml").symlink_to("../../outside.yaml")
    (services / "c.yaml").symlink_to("c.yaml")
    (services / "d.yaml").mkdir()
    os.mkfifo(services / "e.yaml")
    (services / "f.yaml").symlink_to("gone.yaml")
    (tmp_path / "lab" / "apps").symlink_to("../apps")
    loaded = load(tmp_path / "lab")
    assert set(loaded.lab.services) == {"own"}
    assert [str(finding).partition(";")[0] for finding in sorted(loaded.findings, key=lambda each: each.place)] == [
        "apps/own/app.yaml:1:1: BLU006 apps/own/app.yaml: leads out of the lab's folder",
        "services/b.yaml:1:1: BLU006 services/b.yaml: leads out of the lab's folder",
        "services/c.yaml:1:1: BLU006 services/c.yaml: is a link that leads to itself",
        "services/d.yaml:1:1: BLU006 services/d.yaml: is not a plain file",
        "services/e.yaml:1:1: BLU006 services/e.yaml: is not a plain file",
        "services/f.yaml:1:1: BLU006 services/f.yaml: cannot be read: No such file or directory",
    ]


def test_a_link_to_another_place_in_the_lab_is_followed(tmp_path: Path) -> None:
    """What is in the tree is the lab's own."""
    write(tmp_path, {"shared.yaml": "caddy: {host: box}\n", A: ""})
    (tmp_path / "services" / "b.yaml").symlink_to("../shared.yaml")
    assert set(load(tmp_path).lab.services) == {"caddy"}


def test_an_app_of_the_lab_stands_in_for_the_catalogues(tmp_path: Path) -> None:
    """The lab's own is the one that counts."""
    lab = passed(tmp_path, {A: "caddy: {host: box}\n", "apps/caddy/app.yaml": OWN.replace("own", "caddy")}).lab
    assert lab.apps["caddy"].version == "1"


@pytest.mark.parametrize(
    ("app", "wanted"),
    [
        ("", ["1:1: BLU102 app: is missing", "1:1: BLU102 state: is missing", "1:1: BLU102 version: is missing"]),
        (OWN.replace("own", "other"), ["1:6: BLU103 app: must be 'own', as its folder is called, not 'other'"]),
        (
            OWN + "helth: {}\nsources: [{brew: a, deb: b}, {path: c, x: 1}]\nenv: {U: 022}\n",
            [
                "6:1: BLU101 helth: there is no such field",
                "7:11: BLU103 sources.0: a source is exactly one of path, wheel, deb, brew, container, chart, release",
                "7:40: BLU101 sources.1.x: there is no such field",
                "8:10: BLU103 env.U: 022 is read as the number 22",
            ],
        ),
        (
            OWN + "health: {http: /, port: web}\n",
            ["1:1: BLU103 apps/own/app.yaml: health names the port 'web', which is not among ports"],
        ),
        (OWN.replace("'1'", "1.10"), ["2:10: BLU103 version: the version 1.1 is read as a number: quote it"]),
    ],
)
def test_what_can_be_wrong_with_an_app(app: str, wanted: list[str], tmp_path: Path) -> None:
    """It is told in the app's file, once, however many services use it."""
    found = said(
        tmp_path, {A: "one: {host: box, app: own}\ntwo: {cluster: pods, app: own}\n", "apps/own/app.yaml": app}
    )
    assert found == [f"apps/own/app.yaml:{line}" for line in wanted]


def test_what_can_be_wrong_with_the_files_of_an_app(tmp_path: Path) -> None:
    """Missing, no text, too large, or with lookups that mean nothing: at their line."""
    app = OWN + "files: {" + ", ".join(f"{name}: {{path: /{name}, template: {name}}}" for name in "abcde") + "}\n"
    files: dict[str, str | bytes] = {
        A: "own: {host: box}\n",
        "apps/own/app.yaml": app,
        "apps/own/b": b"\xff",
        "apps/own/c": "x" * 20_000_000,
        "apps/own/d": "x\n  {{ options.x }} {{ listen.http }}\n{{ nope }}",
        "apps/own/e": "a\n\n b {{ x | y }}",
    }
    assert said(tmp_path, files) == [
        "apps/own/a:1:1: BLU006 apps/own/a: cannot be read: No such file or directory",
        "apps/own/b:1:1: BLU002 apps/own/b: is not UTF-8 text",
        "apps/own/c:1:1: BLU002 apps/own/c: is larger than 16 MiB",
        "apps/own/d:2:3: BLU123 own: {{ options.x }} means nothing here",
        "apps/own/d:3:1: BLU123 own: {{ nope }} means nothing here",
        "apps/own/e:3:4: BLU123 own: '{{ x | y }}' is no lookup: write {{ a.dotted.name }}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "x: &x {"
        + ", ".join(f"bad{number}: 1" for number in range(1000))
        + "}\n"
        + "".join(f"y{n}: *x\n" for n in range(500)),
        "caddy: {host: box, allow: [" + "1, " * 200_000 + "]}\n",
        "".join(f"s{number}: {{host: gone{number}, allow: [who{number}]}}\n" for number in range(2000)),
        "".join(f"s{number}: {{cluster: pods, app: grafana, database: s{number}}}\n" for number in range(500)),
        "".join(f"s{number}: {{cluster: pods, app: grafana, database: s{number + 1}}}\n" for number in range(500))
        + "s500: {cluster: pods, app: grafana, database: s0}\n",
    ],
    ids=["aliases of mistakes", "200,000 mistakes", "4,000 unknown names", "500 cycles", "one long cycle"],
)
def test_floods_of_mistakes_end_soon(text: str, tmp_path: Path) -> None:
    """The time is bounded, and each message stays one short line."""
    started = time.process_time()
    findings = check(tmp_path, {A: text}).findings
    assert time.process_time() - started < 10
    assert findings
    assert max(len(str(finding)) for finding in findings) < 1000


def test_the_nearest_lab_is_found(tmp_path: Path) -> None:
    """From a folder within it; where there is none, the error says how to name one."""
    write(tmp_path / "lab", {A: ""})
    assert find_lab(tmp_path / "lab" / "services") == (tmp_path / "lab").resolve()
    for call in (lambda: find_lab(tmp_path), lambda: load(tmp_path)):
        with pytest.raises(UserError, match="is no lab") as error:
            call()
        assert (error.value.code, error.value.hint) == ("BLU005", "name one with --lab DIR")


def test_a_lab_larger_than_any_home_is_refused_quickly(tmp_path: Path) -> None:
    """Many files, each within its bounds, may not add up to minutes of checking."""
    entry = "a{0}: {{cluster: k, image: 'example.org/a:{0}', state: none, env: {{A: {1}}}}}\n"
    (tmp_path / "services").mkdir()
    (tmp_path / "lab.yaml").write_text("lab: small\n")
    for part in range(6):
        text = "".join(entry.format(part * 1000 + number, "x" * 1000) for number in range(900))
        (tmp_path / f"services/{part}.yaml").write_text(text)
    findings = load(tmp_path).findings
    assert [finding.place.file for finding in findings if finding.code == "BLU002"] == [
        "services/4.yaml", "services/5.yaml",
    ]  # fmt: skip


def test_samples_are_the_catalogues_alone(tmp_path: Path) -> None:
    """An app of the lab's own has none, and a sample lies in a folder that is kept."""
    own = {A: "own: {host: box}\n", "apps/own/book": "b"}
    app = OWN.replace("state: none", "state: {books: /b}") + "samples: {books: book}\n"
    found = said(tmp_path, {**own, "apps/own/app.yaml": app})
    assert found == ["apps/own/app.yaml:6:10: BLU103 samples: are the catalogue's alone"]
    found = said(tmp_path, {**own, "apps/own/app.yaml": app.replace("{books: book}", "{other: book}")})
    assert len(found) == 1
    assert "samples names 'other', which is not among the folders of state" in found[0]
