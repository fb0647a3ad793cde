"""New secrets of every kind, read by the programs that they are for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bcrypt
import pytest

from blumeops.base.errors import EngineError, UserError
from blumeops.facts.derive import Recipe
from blumeops.secrets.age import load_or_create
from blumeops.secrets.generate import Given, made
from blumeops.secrets.references import Reference
from blumeops.secrets.store import SopsStore

KEY, PUBLIC, PASSWORD, LINE = (Reference.parse(f"op://v/i/{each}") for each in ("key", "public", "password", "line"))


def nothing(folder: Path) -> SopsStore:
    """A store without a file."""
    return SopsStore(None, load_or_create(folder / "age.key").path)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_key_and_its_public_half(kind: str, tmp_path: Path) -> None:
    """OpenSSH signs with the one and verifies with the other."""
    recipes = {PUBLIC: Recipe("public", source=str(KEY)), KEY: Recipe("rsa" if kind == "rsa" else "ed25519")}
    values = made(recipes, nothing(tmp_path))
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(values[KEY])
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "test"]
    signature = subprocess.run(sign, input=b"words", capture_output=True, check=True).stdout
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "allowed").write_text(f"me {values[PUBLIC]}")
    check = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "me", "-n", "test"]
    subprocess.run([*check, "-s", str(tmp_path / "signature")], input=b"words", capture_output=True, check=True)


def test_the_public_half_of_a_key_that_somebody_gave(tmp_path: Path) -> None:
    """Also where its last end of line was lost on the way, or another system wrote it; one that is locked is refused,
    and nobody is asked for its passphrase."""
    for name, passphrase in (("open", ""), ("locked", "a passphrase")):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-C", "", "-N", passphrase, "-f", str(tmp_path / name)]
        subprocess.run(make, check=True)
    recipes, store = {PUBLIC: Recipe("public", source=str(KEY))}, nothing(tmp_path)
    whole = (tmp_path / "open").read_text()
    for given in (whole, whole.rstrip("\n"), whole.replace("\n", "\r\n")):
        assert (
            made(recipes, Given({KEY: given}, store))[PUBLIC]
            == (tmp_path / "open.pub").read_text().rstrip(" \n") + "\n"
        )
    for wrong in ((tmp_path / "locked").read_text(), "not a key"):
        with pytest.raises(EngineError, match=f"BLU505 {KEY}") as refused:
            made(recipes, Given({KEY: wrong}, store))
        assert wrong not in str(refused.value)


def test_a_line_of_htpasswd_is_made_of_a_password_that_is_there(tmp_path: Path) -> None:
    """Of a given one, of one that is made with it; and of none that is nowhere."""
    recipe = Recipe("htpasswd", source=str(PASSWORD), user="erich")
    store = nothing(tmp_path)
    user, _, digest = made({LINE: recipe}, Given({PASSWORD: "given"}, store))[LINE].strip().partition(":")
    assert user == "erich"
    assert bcrypt.checkpw(b"given", digest.encode())
    both = made({LINE: recipe, PASSWORD: Recipe(length=40)}, store)
    assert bcrypt.checkpw(both[PASSWORD].encode(), both[LINE].strip().partition(":")[2].encode())
    with pytest.raises(UserError) as refused:
        made({LINE: recipe}, store)
    assert refused.value.code == "BLU509"
    with pytest.raises(UserError) as refused:
        made({LINE: recipe}, Given({PASSWORD: "x" * 73}, store))
    assert refused.value.code == "BLU508"


def test_characters_of_an_alphabet(tmp_path: Path) -> None:
    """As many as the app says, of those alone."""
    value = made({KEY: Recipe(length=40, alphabet="0123456789abcdef")}, nothing(tmp_path))[KEY]
    assert len(value) == 40
    assert set(value) <= set("0123456789abcdef")
