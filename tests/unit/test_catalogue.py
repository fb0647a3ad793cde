"""The catalogue: every app is read without a finding and says only what can be looked up; the labs that use it load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.base.findings import Finding
from blumeops.lab import yaml
from blumeops.lab.app import App
from blumeops.lab.files import CATALOGUE
from blumeops.lab.load import load
from blumeops.lab.template import Lookup, parse
from blumeops.lab.validate import validate

LABS = Path(__file__).parents[2] / "labs"
APPS = sorted(folder.name for folder in CATALOGUE.iterdir() if folder.is_dir() and not folder.name.startswith("_"))
FLOATING = {"latest", "stable", "main", "master", "edge", "nightly"}
DATABASE = {"url", "host", "port", "name", "user", "password"}
ORDER = [
    "app", "about", "version", "kind", "sources", "tools", "options", "ports", "needs", "command", "arguments", "init",
    "reload", "loaded", "provides", "env", "files", "secrets", "health", "metrics", "logs", "state", "samples",
    "update", "stop", "resources", "devices", "internet",
]  # fmt: skip
UNITS = {"duration": {"seconds", "minutes", "hours"}, "size": {"bytes"}}


def read(name: str, folder: Path = CATALOGUE) -> tuple[App | None, list[Finding]]:
    """An app of `folder` and what is wrong with it."""
    document = yaml.read((folder / name / "app.yaml").read_bytes(), f"catalogue/{name}/app.yaml")
    app, wrong = validate(App, document.data, document)
    return app, [*document.findings, *wrong]


def app_of(name: str) -> App:
    """An app that is known to load."""
    app, wrong = read(name)
    assert app is not None, wrong
    return app


def files_of(app: App) -> set[str]:
    """The files that must lie beside app.yaml."""
    templates = {file.template for file in app.files.values() if file.template}
    stdin = {provide.create.stdin for provide in app.provides.values() if provide.create.stdin}
    return templates | stdin | set(app.samples.values())


def texts(app: App, folder: Path = CATALOGUE) -> Iterator[tuple[str, str]]:
    """Every text of an app that may hold lookups, with the place where it stands."""
    for field in ("command", "reload"):
        yield from ((field, text) for text in getattr(app, field))
    yield from ((f"env.{key}", text) for key, text in app.env.items())
    if app.init:
        yield from (("init", text) for text in (*app.init.command, app.init.creates))
    if app.health:
        yield from (("health", text) for text in app.health.command)
    for provide in app.provides.values():
        yield from (("provides", text) for text in (*provide.create.command, *provide.create.env.values()))
    for file in app.files.values():
        if file.template:
            yield file.template, (folder / app.app / file.template).read_text()


def means_something(app: App, lookup: Lookup, place: str) -> bool:
    """Whether a lookup is of the vocabulary and names what the app has. Shares are the service's to name."""
    kind, rest = lookup.path[0], lookup.path[1:]
    if kind == "run":
        return rest == ()
    if kind == "service":
        return rest in (("url",), ("name",))
    if kind == "files":
        return ".".join(rest) in app.files
    if kind == "database":
        return len(rest) == 1 and rest[0] in DATABASE and ("database" in app.needs or place == "provides")
    if not rest:
        return False
    name, more = rest[0], rest[1:]
    if kind == "options":
        units = UNITS.get(app.options[name].type, set()) if name in app.options else set()
        return name in app.options and (more == () or (len(more) == 1 and more[0] in units))
    if kind == "secrets":
        return name in app.secrets and more in ((), ("file",))
    if kind == "listen":
        routed = more == ("routed",) and name in app.ports and app.ports[name].routed is not None
        return routed or (name in app.ports and more in ((), ("host",), ("port",)))
    if kind == "address":
        return name in app.ports and more in (("host",), ("port",))
    return more == () and (kind == "mounts" or (kind == "state" and name in app.state.folders))


def strange_lookups(app: App, folder: Path = CATALOGUE) -> list[str]:
    """The lookups that mean nothing, with their places."""
    return [
        f"{place}: {piece}"
        for place, text in texts(app, folder)
        for piece in parse(text)
        if isinstance(piece, Lookup) and not means_something(app, piece, place)
    ]


@pytest.mark.parametrize("name", APPS)
def test_an_app_is_read_without_a_finding_under_its_own_name(name: str) -> None:
    """The folder's name is the app's name, and nothing in its description is wrong."""
    app, wrong = read(name)
    assert wrong == []
    assert app is not None
    assert app.app == name
    assert app.about, "it says in one line what it is"


@pytest.mark.parametrize("name", APPS)
def test_every_lookup_is_of_the_vocabulary(name: str) -> None:
    """Command, environment and files look up only what the app has."""
    assert strange_lookups(app_of(name)) == []


@pytest.mark.parametrize("name", APPS)
def test_what_an_app_declares_is_used(name: str) -> None:
    """An option, a secret, a file or a kept folder that nothing reads would promise what does not happen."""
    app = app_of(name)
    if app.kind == "platform":  # a chart reads its secrets
        return
    used = {str(piece) for _, text in texts(app) for piece in parse(text) if isinstance(piece, Lookup)}
    declared = {
        *(f"{kind}.{key}" for kind in ("options", "secrets", "files") for key in getattr(app, kind)),
        *(f"state.{key}" for key in app.state.folders),
    }
    declared -= {f"files.{name}" for name, file in app.files.items() if file.derived == "rules"}  # `scrape` names them
    assert {one for one in declared if not any(use == one or use.startswith(f"{one}.") for use in used)} == set()


@pytest.mark.parametrize("name", APPS)
def test_the_files_beside_an_app_are_those_that_it_names(name: str) -> None:
    """No file is missing and none is left over."""
    beside = {path.name for path in (CATALOGUE / name).iterdir()}
    assert beside == {"app.yaml"} | files_of(app_of(name))


@pytest.mark.parametrize("name", APPS)
def test_an_app_can_be_had_in_a_pinned_version(name: str) -> None:
    """There is a source, no version floats, and a chart says where it is kept."""
    app = app_of(name)
    assert app.sources
    versions = {app.version, *(source.version for source in app.sources if source.version)}
    assert versions.isdisjoint(FLOATING)
    for source in app.sources:
        assert not source.container or ":" not in source.container.rpartition("/")[2], "an image stands without its tag"
        assert (source.chart is None) == (source.repository is None)
        assert source.deb is None or source.suite or source.version, "a Debian package has the version of its suite"


@pytest.mark.parametrize("name", APPS)
def test_state_is_declared(name: str) -> None:
    """What a backup must hold is written down, `none` included; what needs a database keeps its state there."""
    document = yaml.read((CATALOGUE / name / "app.yaml").read_bytes(), name)
    assert "state" in document.data
    assert app_of(name).state.database == ("database" in app_of(name).needs)


@pytest.mark.parametrize("name", [name for name in APPS if app_of(name).kind == "service"])
def test_a_program_that_serves_says_how_to_see_that_it_works(name: str) -> None:
    """A service listens, has a command for every engine, a health check and a limit of memory."""
    app = app_of(name)
    assert app.ports
    assert app.command
    assert app.health
    assert app.resources.memory


@pytest.mark.parametrize("name", APPS)
def test_the_fields_stand_in_one_order(name: str) -> None:
    """Somebody who has read one app finds everything in the next."""
    written = list(yaml.read((CATALOGUE / name / "app.yaml").read_bytes(), name).data)
    assert set(ORDER) == set(App.model_fields)
    assert written == [field for field in ORDER if field in written]


@pytest.mark.parametrize("lab", ["blumeops", "first"])
def test_a_shipped_lab_loads_without_a_finding(lab: str) -> None:
    """Every service of the examples is read and finds its app."""
    loaded = load(LABS / lab)
    assert loaded.findings == ()
    assert [name for name in loaded.lab.services if loaded.lab.app_of(name) is None] == []


def test_the_shipped_labs_use_the_whole_catalogue() -> None:
    """What no example uses is tried by nobody."""
    used = {name for lab in ("blumeops", "first") for name in load(LABS / lab).lab.apps}
    assert set(APPS) - used == set()


@pytest.mark.parametrize(
    ("line", "strange"),
    [
        ("command: [x, '{{ listen.http }}', '{{ options.keep.hours }}', '{{ files.a.b.c }}', '{{ run }}']", []),
        ("command: [x, '{{ listen.sql }}']", ["command: listen.sql"]),
        ("command: [x, '{{ listen }}']", ["command: listen"]),
        ("command: [x, '{{ options.keep.bytes }}']", ["command: options.keep.bytes"]),
        ("env: {A: '{{ secrets.key.path }}', B: '{{ state.gone }}'}", ["env.A: secrets.key.path", "env.B: state.gone"]),
        ("env: {A: '{{ database.url }}'}", ["env.A: database.url"]),
        ("env: {A: '{{ service.domain }}'}", ["env.A: service.domain"]),
        ("env: {A: '{{ environment.HOME }}'}", ["env.A: environment.HOME"]),
    ],
)
def test_a_lookup_that_means_nothing_is_seen(line: str, strange: list[str], tmp_path: Path) -> None:
    """The checks above can fail: each kind of wrong lookup is told with its place."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.b.c").write_text("{{ state.data }}")
    (tmp_path / "one" / "app.yaml").write_text(
        "app: one\nversion: '1'\nstate: {data: /data}\nports: {http: 80}\noptions: {keep: {type: duration}}\n"
        f"secrets: {{key: {{}}}}\nfiles: {{a.b.c: {{path: /a, template: a.b.c}}}}\n{line}\n"
    )
    app, wrong = read("one", tmp_path)
    assert wrong == []
    assert app is not None
    assert strange_lookups(app, tmp_path) == strange
