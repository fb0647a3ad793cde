"""Plans: which action, in which order, in which words, and a difference whenever there is one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.plan.compare import Change, Plan, compare, start_order, with_new_secrets
from blumeops.plan.text import lines, parts_text
from blumeops.render.local_unit import (
    FolderPart,
    Grant,
    Health,
    Init,
    LocalUnit,
    Port,
    PortPart,
    SecretFilePart,
    SecretPart,
    Source,
    Text,
)


def unit(name: str = "web", **fields: Any) -> LocalUnit:
    """A small unit."""
    return LocalUnit.model_validate(
        {"unit": name, "app": "app", "version": "1", "place": "box", "command": (("run",),)} | fields
    )


def by_name(*units: LocalUnit) -> dict[str, LocalUnit]:
    """Units as the engine and the renderer give them."""
    return {each.unit: each for each in units}


def changed(before: LocalUnit, after: LocalUnit) -> Change:
    """The one change between two forms of a unit."""
    (change,) = compare(by_name(after), by_name(before)).changes
    return change


def test_equal_units_need_nothing() -> None:
    """An empty plan, in JSON too."""
    same = compare(by_name(unit()), by_name(unit()))
    assert same.changes == ()
    assert same.as_json("a", "b") == {"version": 1, "from": "a", "to": "b", "changes": []}


GRANT = Grant(provider="db", command=(("make",),))


@pytest.mark.parametrize(
    ("fields", "action", "effects"),
    [
        ({}, "start", ("app 1 starts",)),
        (
            {"url": "https://w", "grants": (GRANT,)},
            "start",
            ("app 1 starts", "https://w leads to it", "db gets a database and a role for it"),
        ),
        ({"kind": "job"}, "record", ("app 1 runs at set times",)),
        ({"provided": "the loop"}, "record", ("the loop stands in for web",)),
        ({"unavailable": "no Docker"}, "record", ("web cannot run here: no Docker",)),
    ],
)
def test_what_is_new(fields: dict[str, Any], action: str, effects: tuple[str, ...]) -> None:
    """What it means for people is said; what is at rest here is only recorded."""
    (change,) = compare(by_name(unit(**fields)), {}).changes
    assert (change.action, change.why, change.effects) == (action, "is new", effects)
    assert "+app: app" in change.diff


@pytest.mark.parametrize(
    ("fields", "effects"),
    [
        ({}, ("web stops",)),
        ({"url": "https://w", "state": ("data",)}, ("web stops", "https://w leads nowhere", "its data is kept")),
        ({"provided": "the loop", "url": "https://w"}, ("web is not run any more",)),
    ],
)
def test_what_goes(fields: dict[str, Any], effects: tuple[str, ...]) -> None:
    """Data is kept, and that is said."""
    (change,) = compare({}, by_name(unit(**fields))).changes
    assert (change.action, change.why, change.effects) == ("remove", "is no longer described", effects)
    assert "-app: app" in change.diff


RESTART = "a short break; the old one comes back if the new one does not get healthy"
REPLACE = "the new one is healthy before the old one stops"
RELOAD = "it reads its files anew, without a restart"
FILES = {"a.ini": ("x",)}


@pytest.mark.parametrize(
    ("before", "after", "action", "why", "effects"),
    [
        ({}, {"version": "2"}, "restart", "version changed", ("app goes from 1 to 2", RESTART)),
        ({}, {"app": "other"}, "record", "app changed", ("app becomes other", "nothing is restarted")),
        (
            {},
            {"version": "2", "update": "replace"},
            "replace",
            "update, version changed",
            ("app goes from 1 to 2", REPLACE),
        ),
        (
            {"ports": {"p": Port(fixed=1)}},
            {"ports": {"p": Port(fixed=1)}, "update": "replace", "version": "2"},
            "restart",
            "update, version changed",
            ("app goes from 1 to 2", RESTART),
        ),
        (
            {"env": {"A": ("1",)}},
            {"env": {"A": ("2",), "B": ("3",)}},
            "restart",
            "environment changed",
            ("A: 1 → 2", "B: unset → 3", RESTART),
        ),
        ({"env": {"A": ("1",)}}, {}, "restart", "environment changed", ("A: 1 → unset", RESTART)),
        ({}, {"files": FILES}, "restart", "files changed", ("the file a.ini changes", RESTART)),
        (
            {"reload": (("r",),)},
            {"reload": (("r",),), "files": FILES, "url": "https://w"},
            "reload",
            "files, address changed",
            ("the file a.ini changes", "no address becomes https://w", RELOAD),
        ),
        ({}, {"secret_files": {"k": "op://v/i/f"}}, "restart", "secrets changed", (RESTART,)),
        (
            {},
            {"place": "other", "heal": False},
            "record",
            "what becomes of changes by hand, place changed",
            ("nothing is restarted",),
        ),
        ({}, {"memory": 1}, "restart", "limit of memory changed", (RESTART,)),
        (
            {},
            {"grants": (GRANT,)},
            "record",
            "database changed",
            ("db gets a database and a role for it", "nothing is restarted"),
        ),
        ({}, {"stop_signal": "INT", "stop_seconds": 3.0}, "restart", "stop changed", (RESTART,)),
        ({}, {"provided": "the loop"}, "record", "provided changed", ("web stops", "the loop stands in for web")),
        (
            {"unavailable": "no"},
            {"url": "https://w"},
            "start",
            "unavailable, address changed",
            ("app 1 starts", "https://w leads to it"),
        ),
        ({"provided": "a"}, {"provided": "b"}, "record", "provided changed", ()),
        ({"kind": "job"}, {"kind": "job", "version": "2"}, "record", "version changed", ("app goes from 1 to 2",)),
    ],
)
def test_what_changes(
    before: dict[str, Any], after: dict[str, Any], action: str, why: str, effects: tuple[str, ...]
) -> None:
    """The least that does it, and what a person notices of it."""
    change = changed(unit(**before), unit(**after))
    assert change.action == action
    assert sorted(change.why.removesuffix(" changed").split(", ")) == sorted(why.removesuffix(" changed").split(", "))
    assert change.effects == effects


def test_the_order_of_a_plan() -> None:
    """Providers before their users, then removals the other way round; however the units come in."""
    wanted = by_name(unit("b", needs=("db",)), unit("a", needs=("b",)), unit("db"), unit("c"))
    applied = by_name(unit("y", needs=("x",)), unit("x"), unit("z"))
    plan = compare(wanted, applied)
    assert [change.unit for change in plan.changes if change.action == "start"] == ["db", "c", "b", "a"]
    assert compare(dict(reversed(wanted.items())), dict(reversed(applied.items()))) == plan
    gone = [change.unit for change in plan.changes if change.action == "remove"]
    assert plan.changes[-3:] == tuple(change for change in plan.changes if change.action == "remove")
    assert gone.index("y") < gone.index("x")


def test_what_was_applied_may_be_a_ring() -> None:
    """The checks refuse it, but an old state may hold anything: the names' order is taken."""
    assert start_order([unit("b", needs=("a",)), unit("a", needs=("b",))]) == ["a", "b"]


def test_the_diff_of_a_change() -> None:
    """A unified diff of one fact a line, with references and never a value that only the machine knows."""
    before = unit(env={"A": ("x", PortPart(port="http"))}, version="1")
    after = unit(env={"A": ("x", SecretPart(secret="op://v/i/f"))}, version="2")
    assert changed(before, after).diff.splitlines() == [
        "--- a/web",
        "+++ b/web",
        "@@ -1,8 +1,8 @@",
        " app: app",
        "-version: 1",
        "+version: 2",
        " place: box",
        " kind: service",
        " command: run",
        "-env A: x<port http>",
        "+env A: x<op://v/i/f>",
        " update: stop-start",
        " stop_signal: TERM",
    ]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (SecretPart(secret="op://v/i/f"), "<op://v/i/f>"),
        (SecretFilePart(secret_file="k"), "<file of k>"),
        (PortPart(port="http"), "<port http>"),
        (PortPart(port="sql", unit="db"), "<port db sql>"),
        (FolderPart(folder="run"), "<run>"),
        (FolderPart(folder="state", name="data"), "<state/data>"),
        ("a\nb\x1b[1m\u2028", "a\\nb\\x1b[1m\\u2028"),
    ],
)
def test_parts_as_text(part: Any, wanted: str) -> None:
    """What only the machine knows stands in angle brackets; a text stays on one line."""
    assert parts_text((part,)) == wanted


def test_a_command_shows_where_its_words_end() -> None:
    """Otherwise two commands that differ would look the same."""
    assert lines(unit(command=(("a b",), ("c",), ("",))))[-4] == 'command: "a b" c ""'


TEXTS = st.lists(
    st.text(max_size=8) | st.builds(SecretPart, secret=st.just("op://v/i/f")) | st.builds(PortPart, port=st.just("p")),
    max_size=3,
).map(tuple)
NAMES = st.sampled_from(["A", "B"])
UNITS = st.builds(
    LocalUnit,
    unit=st.just("web"),
    app=st.just("app"),
    version=st.sampled_from(["1", "2"]),
    place=st.just("box"),
    command=st.lists(TEXTS, max_size=3).map(tuple),
    env=st.dictionaries(NAMES, TEXTS),
    files=st.dictionaries(NAMES, TEXTS),
    sources=st.lists(st.builds(Source, kind=st.just("deb"), name=NAMES, suite=st.none() | NAMES), max_size=2).map(
        tuple
    ),
    init=st.none() | st.builds(Init, command=st.just(()), creates=TEXTS),
    ports=st.dictionaries(NAMES, st.builds(Port, fixed=st.none() | st.integers(1, 2))),
    health=st.none() | st.builds(Health, kind=st.just("tcp"), port=NAMES),
    provided=st.sampled_from(["", "x"]),
    kind=st.sampled_from(["service", "job"]),
)


def ambiguous(unit: LocalUnit) -> bool:
    """Text that looks like a part of the machine's, or like an escape: the lines do not tell them apart."""
    texts: list[Text] = [*unit.command, *unit.env.values(), *unit.files.values()]
    texts += [unit.init.creates] if unit.init else []
    return any(isinstance(part, str) and set(part) & set("<>\\\"'") for text in texts for part in text)


@given(UNITS, UNITS)
def test_a_difference_is_always_shown(before: LocalUnit, after: LocalUnit) -> None:
    """Whatever differs has a line in the diff, every line is printable, and it goes through JSON."""
    plan = compare(by_name(after), by_name(before))
    parts_differ = [tuple("".join(str(p) for p in text) for text in u.command) for u in (before, after)]
    if not plan.changes:
        assert before == after
        return
    (change,) = plan.changes
    if not ambiguous(before) and not ambiguous(after) and joined(before) != joined(after):
        assert change.diff, parts_differ
    for line in [*change.diff.split("\n"), *change.effects, change.why]:
        assert line.replace("\t", "").isprintable()
    assert json.loads(json.dumps(plan.as_json("a", "b")))["changes"][0]["unit"] == "web"


def joined(unit: LocalUnit) -> object:
    """The unit with neighbouring literals as one, as every renderer says them."""

    def text(value: Text) -> list[object]:
        found: list[object] = []
        for part in value:
            if isinstance(part, str) and found and isinstance(found[-1], str):
                found[-1] += part
            elif part != "":
                found.append(part)
        return found

    texts = {"env": {k: text(v) for k, v in unit.env.items()}, "files": {k: text(v) for k, v in unit.files.items()}}
    init = text(unit.init.creates) if unit.init else None
    rest = unit.model_copy(update={"env": {}, "files": {}, "command": (), "init": None})
    return [rest, texts, [text(word) for word in unit.command], unit.init is None, init]


def test_a_plan_is_json_by_the_promise() -> None:
    """Version, from, to, and for each change what the promises name."""
    found = Plan((changed(unit(), unit(version="2")),)).as_json("old", "new")
    assert list(found) == ["version", "from", "to", "changes"]
    assert isinstance(found["changes"], list)
    assert list(found["changes"][0]) == ["unit", "action", "why", "effects", "diff"]


def test_a_new_secret_is_a_change_of_its_own() -> None:
    """A unit that nothing else changes is restarted by it; one that would only be reloaded is restarted too."""
    quiet, loud = LocalUnit(unit="quiet", app="a", version="1", place="x"), "op://lab/quiet/key"
    other = LocalUnit(unit="other", app="a", version="1", place="x", memory=1)
    plan = compare({"quiet": quiet, "other": other}, {"quiet": quiet, "other": other.model_copy(update={"memory": 2})})
    found = with_new_secrets(plan, {"quiet": quiet, "other": other}, {"quiet": [loud], "other": [loud]})
    assert [(change.unit, change.action) for change in found.changes] == [("other", "restart"), ("quiet", "restart")]
    assert all(change.effects[-1] == f"a new value of {loud}" for change in found.changes)
    assert found.changes[0].why.endswith("secrets changed")
    assert with_new_secrets(plan, {"quiet": quiet, "other": other}, {}) == plan


def test_a_new_secret_of_what_does_not_run_here_changes_nothing() -> None:
    """Nothing of it is running, so nothing is restarted."""
    rest = LocalUnit(unit="rest", app="a", version="1", place="x", provided="something else")
    assert with_new_secrets(Plan(()), {"rest": rest}, {"rest": ["op://lab/rest/key"]}).changes == ()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, f"sha256:{'1' * 64}", "its image is locked to sha256:111111111111…"),
        (f"sha256:{'1' * 64}", f"sha256:{'2' * 64}", "its image is locked to sha256:222222222222…"),
        (f"sha256:{'2' * 64}", None, "its image is locked no more"),
    ],
)
def test_an_image_that_is_locked_otherwise(before: str | None, after: str | None, said: str) -> None:
    """The version is the same, and what runs is not: the plan says so, and what has to be restarted for it."""
    image, other = Source(kind="container", name="a/web"), Source(kind="deb", name="web")
    was, will = (unit(sources=(image.model_copy(update={"digest": each}),)) for each in (before, after))
    [change] = compare(by_name(will), by_name(was)).changes
    assert change.effects[0] == said
    assert change.action == "restart"
    was, will = (each.model_copy(update={"sources": (other, *each.sources)}) for each in (was, will))
    [change] = compare(by_name(will), by_name(was), {"web": True}).changes
    assert (change.effects[0], change.action) == (said, "restart")
    [change] = compare(by_name(will), by_name(was)).changes
    assert (change.effects, change.action) == ((said, "restarted if it runs from its image"), "record")
    assert compare(by_name(will), by_name(was), {"web": False}).changes == ()


def test_a_lock_is_no_news_to_what_runs_from_no_image() -> None:
    """A job, what is provided, and a program: of them nothing changes; what else differs is told with it."""
    was, will = (
        unit(sources=(Source(kind="container", name="a/web", digest=each),)) for each in (None, f"sha256:{'1' * 64}")
    )
    for fields in ({"kind": "job"}, {"provided": "something else"}, {"unavailable": "its chart needs a cluster"}):
        before, after = (each.model_copy(update=fields) for each in (was, will))
        assert compare(by_name(after), by_name(before)).changes == ()
    will = will.model_copy(update={"url": "https://web"})
    [change] = compare(by_name(will), by_name(was), {"web": False}).changes
    assert change.action == "record"
    assert change.effects == ("no address becomes https://web", "nothing is restarted")


def test_a_container_reads_no_file_anew() -> None:
    """Its files are not followed where they are mounted: it is restarted."""
    before, after = (unit(files={"a": (text,)}, reload=(("reload",),)) for text in "ab")
    for inside, action in ((True, "restart"), (False, "reload")):
        [change] = compare(by_name(after), by_name(before), {"web": inside}).changes
        assert change.action == action
