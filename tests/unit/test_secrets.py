"""References, generated values and age keys."""

from __future__ import annotations

import os
import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blumeops.base.errors import UserError
from blumeops.base.findings import Place
from blumeops.secrets import age
from blumeops.secrets.generate import generate
from blumeops.secrets.references import Reference


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("op://blumeops/miniflux/admin-password", ("blumeops", "miniflux", "admin-password")),
        ("op://blumeops/gandi/api/pat", ("blumeops", "gandi", "api", "pat")),
        ("op://Home Lab/my item_1/a.b", ("Home Lab", "my item_1", "a.b")),
    ],
)
def test_a_reference_is_read_and_written_alike(text: str, path: tuple[str, ...]) -> None:
    """What was parsed prints as it was written, and knows its path."""
    reference = Reference.parse(text)
    assert str(reference) == text
    assert reference.path == path


@pytest.mark.parametrize(
    "text",
    [
        "", "op:/a/b/c", "OP://a/b/c", "op://a/b", "op://a/b/c/d/e", "op://a//c", "op://a/b/", "op:// a/b/c",
        "op://a/b/c?attribute=otp", "op://a/b%20c/d", 'op://a/b["x"]/d', "op://a/b/c\n", "op://a/b\x1b/c",
    ],
)  # fmt: skip
def test_a_malformed_reference_is_refused_on_one_line(text: str) -> None:
    """The error has its code, its place, and no control characters."""
    with pytest.raises(UserError) as caught:
        Reference.parse(text, Place("lab.yaml", 3, 9))
    assert caught.value.code == "BLU501"
    assert str(caught.value).startswith("lab.yaml:3:9: BLU501")
    assert str(caught.value).isprintable()


def test_a_value_in_the_place_of_a_reference_is_not_repeated() -> None:
    """Somebody who writes the password itself does not find it in the error."""
    with pytest.raises(UserError) as caught:
        Reference.parse("hunter2-canary")
    assert "hunter2" not in str(caught.value)


def test_generated_values_differ_and_keep_to_their_alphabet() -> None:
    """A hundred values are a hundred different ones, of the length and letters asked for."""
    values = {generate() for _ in range(100)}
    assert len(values) == 100
    assert all(len(value) == 32 for value in values)
    assert set("".join(values)) <= set(string.ascii_letters + string.digits)
    assert set(generate(64, "01")) <= {"0", "1"}


@pytest.mark.parametrize(("length", "alphabet"), [(10, string.ascii_letters), (1000, "a"), (0, "ab"), (9, "")])
def test_a_value_that_could_be_guessed_is_refused(length: int, alphabet: str) -> None:
    """Less than 64 bits of randomness is an error."""
    with pytest.raises(UserError, match="can be guessed"):
        generate(length, alphabet)


def test_a_new_key_is_private_and_stays(tmp_path: Path) -> None:
    """The file is its owner's alone, has age-keygen's three lines, and is not made twice."""
    path = tmp_path / "deep" / "age.key"
    key = age.load_or_create(path)
    lines = path.read_text().splitlines()
    assert path.stat().st_mode & 0o777 == 0o600
    assert lines[0].startswith("# created: ")
    assert lines[1] == f"# public key: {key.recipients[0]}"
    assert lines[2].startswith("AGE-SECRET-KEY-1")
    assert len(lines) == 3
    assert lines[2] not in repr(key)
    assert age.load_or_create(path) == key
    assert os.listdir(path.parent) == ["age.key"]


def test_two_that_create_a_key_at_once_get_the_same(tmp_path: Path) -> None:
    """Nobody's key is written over by another's."""
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(age.load_or_create, [tmp_path / "age.key"] * 16))
    assert len(set(keys)) == 1
    age._create(tmp_path / "age.key")  # as by one that looked just before the other had written
    assert age.load(tmp_path / "age.key") == keys[0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Group and others must have no rights at all, and the hint says the command."""
    path = age.load_or_create(tmp_path / "age.key").path
    path.chmod(mode)
    with pytest.raises(UserError, match="can be read by others") as caught:
        age.load_or_create(path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("content", ["", "# public key: age1xyz\n", "AGE-SECRET-KEY-1CANARYCANARY\n", "\xff\x00\n"])
def test_a_file_without_a_sound_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    """Empty, without a key, damaged: one line that does not quote the file, which stays as it is."""
    path = tmp_path / "age.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UserError) as caught:
        age.load_or_create(path)
    assert caught.value.code == "BLU502"
    assert "CANARY" not in f"{caught.value}{caught.value.__cause__}"
    assert path.read_text() == content


def test_the_key_is_looked_for_in_order(tmp_path: Path) -> None:
    """The option, then the variable, then the default; only the default is made, and only when asked for."""
    one, two = age.load_or_create(tmp_path / "one"), age.load_or_create(tmp_path / "two")
    default = tmp_path / "state" / "age.key"
    env = {"SOPS_AGE_KEY_FILE": str(two.path)}
    assert age.find_key(one.path, env, default, create=True) == one
    assert age.find_key(None, env, default, create=True) == two
    with pytest.raises(UserError, match="cannot be read"):
        age.find_key(tmp_path / "mistyped", env, default, create=True)
    with pytest.raises(UserError, match="cannot be read"):
        age.find_key(None, {}, default, create=False)
    assert not default.exists()
    assert age.find_key(None, {}, default, create=True).path == default
