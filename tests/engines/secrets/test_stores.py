"""Stores outside of the lab's repository, asked for real: `op` (ours, which answers from a SOPS file as 1Password's
does) as a program, by its arguments, standard input and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from blumeops.base.errors import Unavailable, UserError
from blumeops.secrets import age, sops
from blumeops.secrets.op_store import OpStore
from blumeops.secrets.references import Reference
from blumeops.secrets.store import Remembering

PASSWORD, KEY, NOTE = (Reference.parse(f"op://lab/{each}") for each in ("web/password", "web/admin/key", "note/text"))
VALUES = {PASSWORD: "a 'b' \"c\" {{ d }}", KEY: "-----BEGIN-----\nx\n\n-----END-----\n", NOTE: "ä"}


@pytest.fixture
def op(tmp_path: Path) -> Path:
    """A program `op` whose vault is a SOPS file."""
    key = age.load_or_create(tmp_path / "age.key")
    (tmp_path / "store.yaml").write_bytes(sops.encrypt(VALUES, key.recipients))
    blumeops = Path(sys.executable).with_name("blumeops")
    argv: list[str | Path] = [
        blumeops,
        "op",
        "shim",
        tmp_path / "bin",
        "--file",
        tmp_path / "store.yaml",
        "--age-key",
        key.path,
    ]
    subprocess.run(argv, check=True, capture_output=True)
    return tmp_path / "bin" / "op"


def test_all_that_is_wanted_is_asked_for_at_once(op: Path, tmp_path: Path) -> None:
    """Values with quotes, braces and lines come as they are."""
    assert OpStore(tmp_path / "token", str(op)).read(VALUES) == VALUES
    assert OpStore(tmp_path / "token", str(op)).read([]) == {}


def test_what_is_missing_is_absent_and_the_rest_is_there(op: Path, tmp_path: Path) -> None:
    """A field, an item and a vault that are not there."""
    missing = [Reference.parse(f"op://{each}") for each in ("lab/web/nothing", "lab/none/x", "other/web/password")]
    assert OpStore(tmp_path / "token", str(op)).read([PASSWORD, *missing]) == {PASSWORD: VALUES[PASSWORD]}


def test_a_vault_that_cannot_be_opened_is_away(op: Path, tmp_path: Path) -> None:
    """Not "nothing there": values would be made anew."""
    (tmp_path / "age.key").unlink()
    with pytest.raises(Unavailable) as away:
        OpStore(tmp_path / "token", str(op)).read([PASSWORD])
    assert away.value.code == "BLU524"
    with pytest.raises(Unavailable):
        OpStore(tmp_path / "token", str(tmp_path / "no-op")).read([PASSWORD])
    with pytest.raises(UserError) as refused:
        OpStore(tmp_path / "token", str(op)).write(VALUES)
    assert refused.value.code == "BLU525"
    assert VALUES[NOTE] not in str(refused.value)


def test_the_token_reaches_op_by_its_environment(tmp_path: Path) -> None:
    """Never by an argument; what else is in our environment stays here."""
    program = tmp_path / "op"
    program.write_text(
        '#!/bin/sh\n[ "$1" = read ] || exit 1\nprintf "%s %s %s" "$OP_SERVICE_ACCOUNT_TOKEN" "$OTHER" "$*"\n'
    )
    program.chmod(0o755)
    (tmp_path / "token").write_text("t0ken\n")
    os.environ["OTHER"] = "seen"
    try:
        found = OpStore(tmp_path / "token", str(program)).read([NOTE])
    finally:
        del os.environ["OTHER"]
    assert found == {NOTE: f"t0ken  read --no-newline {NOTE}"}


class Flaky:
    """A store that counts how often it is asked, and may be away."""

    def __init__(self) -> None:
        self.asked: list[list[Reference]] = []
        self.values: dict[Reference, str] = {PASSWORD: "one"}
        self.away = False

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """As Store says."""
        self.asked.append(sorted(references))
        if self.away:
            raise Unavailable("BLU524", "store", "is away")
        return {each: self.values[each] for each in references if each in self.values}

    def write(self, values: Mapping[Reference, str]) -> None:
        """As Keeper says."""
        self.values |= values


def test_a_store_is_asked_once_and_remembered_while_it_is_away() -> None:
    """What it said last counts then; what it was never asked for is not known."""
    flaky = Flaky()
    store = Remembering(flaky)
    assert store.read([PASSWORD, KEY]) == {PASSWORD: "one"}
    assert store.read([PASSWORD, KEY]) == {PASSWORD: "one"}
    assert flaky.asked == [sorted([PASSWORD, KEY])]
    store.forget()
    flaky.away = True
    assert store.read([PASSWORD, KEY]) == {PASSWORD: "one"}
    with pytest.raises(Unavailable):
        store.read([NOTE])
    flaky.away = False
    flaky.values[PASSWORD] = "two"
    assert store.read([PASSWORD]) == {PASSWORD: "two"}
    store.write({KEY: "new"})
    assert store.read([KEY]) == {KEY: "new"}
    assert flaky.values[KEY] == "new"
