"""What the help shows, and what shells complete: all of it from the parser, so that nothing of it can be wrong."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.cli.commands import parser
from blumeops.cli.examples import EXAMPLES, GROUPS
from tests.cli.test_transcripts import run

INNER = {"controller", "credential"}


def commands(holder: argparse.ArgumentParser) -> Iterator[str]:
    """The names of all that can be called, those within others too."""
    inner = [action for action in holder._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield holder.prog.partition(" ")[2]
    for action in inner:
        for name, choice in action.choices.items():
            if name not in INNER:
                yield from commands(choice)


ALL = sorted(commands(parser()))


def test_every_command_is_in_one_group() -> None:
    """None is missing from the help, and none stands there twice."""
    assert sorted(name for names in GROUPS.values() for name in names) == sorted({name.split()[0] for name in ALL})


@pytest.mark.parametrize("name", ALL)
def test_every_example_can_be_typed(name: str) -> None:
    """Each command has one, and the parser takes it; what a shell does with the rest of the line is the shell's."""
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        words = shlex.split(re.split(" [|<>] ", example)[0])
        assert words[: 1 + len(name.split())] == ["blumeops", *name.split()]
        assert parser().parse_args(words[1:]).command == name.split()[0]


def helps(holder: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The help of each command below a parser, hidden ones too, by the words that call it."""
    for action in holder._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action.choices.values():
                yield choice.prog, choice.format_help()
                yield from helps(choice)


@pytest.mark.parametrize("name", sorted({name.split()[0] for name in ALL} | INNER))
def test_a_command_is_parsed_by_its_group_alone(name: str) -> None:
    """With the same words and options as in the whole command line, and without making that."""
    whole, part = dict(helps(parser())), dict(helps(parser(name)))
    assert f"blumeops {name}" in part
    assert part.items() <= whole.items()
    assert name in INNER or len(part) < len(whole) / 2


def test_the_programs_help_is_grouped(tmp_path: Path) -> None:
    """Within the width of a terminal, each command below its group, hidden ones nowhere, and examples at the end."""
    done = run("blumeops --help", tmp_path, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert re.search(r"^start:\n  init +a new lab", done.stdout, re.MULTILINE)
    assert not re.search(r"^  (controller|credential)\b", done.stdout, re.MULTILINE)
    assert done.stdout.partition("\nexamples:\n")[2].count("  blumeops ") == 3


def test_a_commands_help_ends_with_its_example(tmp_path: Path) -> None:
    """And that of one that holds others with some of theirs."""
    assert run("blumeops history --help", tmp_path).stdout.endswith("\nexample:\n  blumeops history --limit 3\n")
    assert "\nexamples:\n  blumeops secret list\n" in run("blumeops secret --help", tmp_path).stdout


@pytest.fixture(scope="module")
def fish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script that the real fish is given."""
    if not shutil.which("fish"):
        pytest.skip("there is no fish on this machine: apt-get install fish")
    folder = tmp_path_factory.mktemp("fish")
    script = folder / "blumeops.fish"
    script.write_text(run("blumeops completion fish", folder).stdout)
    return script


def offered(fish: Path, typed: str) -> dict[str, str]:
    """What fish offers after `typed`, with its description."""
    asked = f"source {fish}; complete -C {shlex.quote(typed)}"
    env = {"PATH": os.environ["PATH"], "HOME": str(fish.parent), "LC_ALL": "C.UTF-8"}
    words = ["fish", "--no-config", "-c", asked]
    done = subprocess.run(
        words, env=env, cwd=fish.parent, capture_output=True, text=True, check=True, timeout=20
    )  # fmt: skip
    assert done.stderr == ""
    return {line.partition("\t")[0]: line.partition("\t")[2] for line in done.stdout.splitlines()}


def test_fish_offers_every_command(fish: Path) -> None:
    """Those that people call, each with what it does; after a command none of them again."""
    found = offered(fish, "blumeops ")
    assert {name for names in GROUPS.values() for name in names} == found.keys()
    assert found["init"] == "a new lab of one's own, in Git"
    assert offered(fish, "blumeops st") == {"status": found["status"]}
    assert offered(fish, "blumeops logs ") == {}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("status --", {"--help", "--json", "--lab", "--state", "--timeout", "--wait"}),
        ("status --lab x --wa", {"--wait"}),
        ("secret ", {"list", "check", "set", "rotate", "recipients", "key"}),
        ("secret recipients --r", {"--remove"}),
        ("op item ", {"get", "list"}),
        ("completion ", {"bash", "fish", "tcsh", "zsh"}),
        ("reach --site ", {"here", "home"}),
        ("reach status --matr", {"--matrix"}),
        ("render --out blu", {"blumeops.fish"}),
        ("policy check blu", {"blumeops.fish"}),
        ("status --timeout ", set()),
    ],
)
def test_fish_offers_what_fits(fish: Path, typed: str, wanted: set[str]) -> None:
    """Options of that very command, choices where there are some, files where files are meant and nowhere else."""
    assert offered(fish, f"blumeops {typed}").keys() == wanted
