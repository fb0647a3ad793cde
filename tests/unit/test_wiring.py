"""Lookups become what they mean for one service; what means nothing is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blumeops.facts.lookups import VOCABULARY
from blumeops.facts.parts import Address, FilePath, Folder, Listen, Part, SecretFile, SecretValue, Url
from blumeops.facts.wiring import Wiring
from tests.written import LAB, check, passed, said

APP = """\
app: own
version: "1"
state: {data: /data}
ports: {http: 80}
needs: {database: sql}
command: [own]
options:
  text: {default: some}
  number: {type: integer, default: 3}
  truth: {type: boolean, default: true}
  every: {type: duration, default: 90m}
  most: {type: size, default: 2Mi}
  names: {type: list, default: [a, true, 1.5]}
  unset: {}
  none: {type: list}
secrets: {key: {}}
files: {app.ini: {path: /etc/app.ini, template: app.ini}}
"""
STORE = """\
app: store
version: "1"
state: {data: /data}
ports: {sql: 5432}
command: [store]
secrets: {root: {}}
provides:
  database: {port: sql, scheme: sql, create: {command: [make, "{{ database.name }}"], env: {P: "{{ secrets.root }}"}}}
sources: [{container: example.org/store}]
"""
SHARES = LAB.replace("role: compute", "role: compute, shares: {music: {path: /m, by: [nfs]}}")
SERVICE = (
    "own-1: {host: box, app: own, name: mine, database: store, mounts: {music: box/music}%s}\nstore: {cluster: pods}\n"
)
HOST, PORT = Address("store", "sql", "host"), Address("store", "sql", "port")
PASSWORD = SecretValue("op://lab/own-1/database-password")


def files(text: str, more: str = "") -> dict[str, str]:
    """A lab whose service `own-1` has `text` in its app's environment."""
    return {
        "lab.yaml": SHARES, "services/a.yaml": SERVICE % more, "apps/own/app.ini": "",
        "apps/own/app.yaml": f"{APP}env:\n  X: {text!r}\n", "apps/store/app.yaml": STORE,
    }  # fmt: skip


def wiring(folder: Path, described: dict[str, str]) -> Wiring:
    """The wiring of `own-1`."""
    return passed(folder, described).facts.services["own-1"].wiring


MEANINGS: list[tuple[str, tuple[Part, ...]]] = [
    ("{{ options.text }}", ("some",)),
    ("{{ options.number }}", ("3",)),
    ("{{ options.truth }}", ("true",)),
    ("{{ options.every }}", ("90m",)),
    ("{{ options.every.seconds }}", ("5400",)),
    ("{{ options.every.minutes }}", ("90",)),
    ("{{ options.most }} {{ options.most.bytes }}", ("2Mi 2097152",)),
    ("{{ options.names }}", ("a,true,1.5",)),
    ("[{{ options.unset }}{{ options.none }}]", ("[]",)),
    ("{{ secrets.key }}", (SecretValue("op://lab/own-1/key"),)),
    ("{{ secrets.key.file }}", (SecretFile("key"),)),
    ("{{ listen.http }}", (Listen("http", "host"), ":", Listen("http", "port"))),
    ("{{ listen.http.host }}", (Listen("http", "host"),)),
    ("{{ listen.http.port }}", (Listen("http", "port"),)),
    ("{{ address.http }}", (Address("own-1", "http", "host"), ":", Address("own-1", "http", "port"))),
    ("{{ address.http.port }}", (Address("own-1", "http", "port"),)),
    ("{{ state.data }}/x", (Folder("state", "data"), "/x")),
    ("{{ mounts.music }}", (Folder("mount", "music"),)),
    ("{{ run }}", (Folder("run"),)),
    ("{{ files.app.ini }}", (FilePath("app.ini"),)),
    ("{{ database.url }}", ("sql://own_1:", PASSWORD, "@", HOST, ":", PORT, "/own_1")),
    ("{{ database.host }}{{ database.port }}", (HOST, PORT)),
    ("{{ database.name }} {{ database.user }}", ("own_1 own_1",)),
    ("{{ database.password }}", (PASSWORD,)),
    ("{{ service.url }}", (Url("own-1"),)),
    ("{{ service.name }}", ("own-1",)),
    ("no lookup", ("no lookup",)),
    ("", ()),
]


@pytest.mark.parametrize(("text", "wanted"), MEANINGS)
def test_a_lookup_means(text: str, wanted: tuple[Part, ...], tmp_path: Path) -> None:
    """Each word of the vocabulary, in each of its forms."""
    assert wiring(tmp_path, files(text)).env["X"] == wanted


def test_every_word_of_the_vocabulary_is_tried() -> None:
    """A new word needs a line above."""
    tried = " ".join(text for text, _ in MEANINGS)
    assert [word for word in VOCABULARY if f"{{{{ {word.partition('.')[0]}" not in tried] == []


@pytest.mark.parametrize(
    "lookup",
    [
        "nothing", "options", "options.gone", "options.text.seconds", "options.every.bytes", "options.every.seconds.x",
        "options.most.minutes", "options.names.0", "secrets", "secrets.gone", "secrets.key.path", "secrets.key.file.x",
        "secrets.database_password", "listen", "listen.sql", "listen.http.number", "listen.http.host.x", "address",
        "address.store", "address.http.x", "state", "state.gone", "state.data.x", "mounts.gone", "mounts", "run.x",
        "files", "files.app", "files.app.ini.x", "database", "database.path", "service", "service.domain", "env.HOME",
        "__class__", "options.__class__",
    ],
)  # fmt: skip
def test_a_lookup_that_means_nothing(lookup: str, tmp_path: Path) -> None:
    """It is told at its place, with what there is."""
    (finding,) = check(tmp_path, files(f"a {{{{ {lookup} }}}}")).findings
    assert str(finding).startswith(f"apps/own/app.yaml:19:6: BLU123 own-1: {{{{ {lookup} }}}} means nothing here; ")
    assert finding.hint


def test_without_a_database_its_lookups_mean_nothing(tmp_path: Path) -> None:
    """The hint says what to write."""
    described = files("{{ database.url }}") | {
        "services/a.yaml": "own: {host: box}\n",
        "apps/own/app.yaml": f"{APP}env: {{X: '{{{{ database.url }}}}'}}\n".replace(
            "needs: {database: sql}\n", "")
    }  # fmt: skip
    (finding,) = check(tmp_path, described).findings
    assert (finding.code, finding.hint) == ("BLU123", "give the service a `database:`")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("text: 3", "text: must be text (in quotes, if it looks like a number), not 3"),
        ("text: true", "text: must be text (in quotes, if it looks like a number), not true"),
        ("text: [a]", "text: must be text (in quotes, if it looks like a number), not a list"),
        ("number: '3'", "number: must be a whole number, not 3"),
        ("number: true", "number: must be a whole number, not true"),
        ("number: 1.5", "number: must be a whole number, not 1.5"),
        ("truth: yes", "truth: must be true or false, not yes"),
        ("truth: 1", "truth: must be true or false, not 1"),
        ("every: 5", "every: 5 is no duration: write a number with ms, s, m, h, d or w, like 30s or 1h30m"),
        ("every: 90s", "every: 90s is not a whole number of minutes"),
        ("most: 5X", "most: '5X' is no size: write a number with Ki, Mi, Gi or Ti, like 128Mi"),
        ("names: a", "names: must be a list, not 'a'"),
        ("names: ['a,b']", "names: has an item with a comma, which separates items"),
        ("none: a", "none: must be a list, not 'a'"),
    ],
)
def test_an_option_that_does_not_fit(options: str, wanted: str, tmp_path: Path) -> None:
    """Looked up or not, at the place where the service says it."""
    described = files("{{ options.every.minutes }}", f", options: {{{options}}}")
    name = options.partition(":")[0]
    column = described["services/a.yaml"].index(f"{name}: ") + len(name) + 3
    assert said(tmp_path, described) == [f"services/a.yaml:1:{column}: BLU123 own-1.options.{wanted}"]


def test_a_default_that_does_not_fit_is_the_apps_mistake(tmp_path: Path) -> None:
    """It is told in the app's file."""
    described = files("")
    described["apps/own/app.yaml"] = APP.replace("default: 3", "default: three")
    (finding,) = check(tmp_path, described).findings
    assert str(finding) == "apps/own/app.yaml:9:36: BLU123 own.options.number: must be a whole number, not three"


HOSTILE = [
    "{{ secrets.key }}",
    "{% x %}",
    "a\nb",
    "'\"",
    "<<",
    "$(id)",
    "\u202e",
    "${HOME}",
    "%s",
    "\\n",
    "é" * 300,
    " x ",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_an_options_value_is_never_read_as_a_template(value: str, tmp_path: Path) -> None:
    """What a service writes arrives as it is; lookups are the app's to make."""
    import json

    described = files("<{{ options.text }}>", f", options: {{text: {json.dumps(value, ensure_ascii=False)}}}")
    assert wiring(tmp_path, described).env["X"] == (f"<{value}>",)


def test_a_service_changes_the_environment(tmp_path: Path) -> None:
    """Beside or instead of the app's; numbers and truth values become the text that YAML writes; lookups work."""
    found = wiring(tmp_path, files("app", ", env: {X: '{{ service.name }}', N: 7, T: true, F: 1.5}")).env
    assert found == {"X": ("own-1",), "N": ("7",), "T": ("true",), "F": ("1.5",)}


def test_a_lookup_in_a_services_environment_is_told_there(tmp_path: Path) -> None:
    """Not in the app's file."""
    assert said(tmp_path, files("", ", env: {Y: '{{ nope }}'}")) == [
        "services/a.yaml:1:96: BLU123 own-1: {{ nope }} means nothing here"
    ]


def test_a_secret_may_be_named(tmp_path: Path) -> None:
    """The reference that the lab names is used instead of the derived one, for the database's password too."""
    more = ", secrets: {key: op://v/i/f, database_password: op://v/d/p}"
    found = wiring(tmp_path, files("{{ secrets.key }}{{ database.password }}", more)).env["X"]
    assert found == (SecretValue("op://v/i/f"), SecretValue("op://v/d/p"))


def test_a_grant_is_said_for_its_user(tmp_path: Path) -> None:
    """The provider's command, with the user's database and the provider's secrets."""
    found = wiring(tmp_path, files(""))
    assert found.grant_command == (("make",), ("own_1",))
    assert found.grant_env == {"P": (SecretValue("op://lab/store/root"),)}


@pytest.mark.parametrize(
    ("lookup", "wanted"),
    [
        ("options.gone", "{{ options.gone }} means nothing here"),
        ("state.data", "what makes a database runs for its user: it cannot look up folders or files of the provider"),
        (
            "secrets.root.file",
            "what makes a database runs for its user: it cannot look up folders or files of the provider",
        ),
    ],
)
def test_what_is_wrong_with_a_grant_is_told_once(lookup: str, wanted: str, tmp_path: Path) -> None:
    """In the provider's file, however many use it."""
    described = files("")
    described["apps/store/app.yaml"] = STORE.replace("secrets.root }}", f"{lookup} }}}}")
    described["services/a.yaml"] += "two: {host: box, app: own, database: store, ports: {http: 81}}\n"
    (finding,) = check(tmp_path, described).findings
    assert (finding.place.file, finding.place.line, finding.message) == ("apps/store/app.yaml", 8, wanted)


def test_a_services_own_health_check_asks_a_port_that_is_there(tmp_path: Path) -> None:
    """The app's own was checked when it was read."""
    assert said(tmp_path, files("", ", health: {http: /, port: web}")) == [
        "services/a.yaml:1:95: BLU123 own-1.health: asks the port `web`, which own does not have"
    ]


def test_an_image_has_the_secrets_that_it_names(tmp_path: Path) -> None:
    """No app declares them; a lookup of another one is told."""
    text = (
        "im: {cluster: pods, image: a:1, state: none, secrets: {k: op://v/i/f}, "
        "env: {K: '{{ secrets.k }}', F: '{{ secrets.k.file }}'%s}}\n"
    )
    found: Any = passed(tmp_path, {"services/a.yaml": text % ""}).facts.services["im"].wiring.env
    assert found == {"K": (SecretValue("op://v/i/f"),), "F": (SecretFile("k"),)}
    assert said(tmp_path, {"services/a.yaml": text % ", Q: '{{ secrets.q }}'"}) == [
        "services/a.yaml:1:130: BLU123 im: {{ secrets.q }} means nothing here"
    ]
