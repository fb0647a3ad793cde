"""The SOPS store, with the real `sops`."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from blumeops.base import processes
from blumeops.base.errors import UserError
from blumeops.secrets import sops
from blumeops.secrets.age import Key, load_or_create
from blumeops.secrets.references import Reference
from blumeops.secrets.store import SopsStore, Store

CANARY = "canary-7f3a9c51d2"
PASSWORD = Reference.parse("op://blumeops/miniflux/admin-password")
TOKEN = Reference.parse("op://blumeops/gandi/api/pat")
OTHER = Reference.parse("op://Home Lab/my item/key")


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """A key of this test's own."""
    return load_or_create(tmp_path / "age.key")


def by_hand(key: Key, *arguments: str, stdin: bytes) -> bytes:
    """What a person gets from `sops` itself."""
    env = {"PATH": os.environ["PATH"], "HOME": str(key.path.parent), "SOPS_AGE_KEY_FILE": str(key.path)}
    argv = [sops.program(), "--config", os.devnull, *arguments]
    return subprocess.run(argv, input=stdin, env=env, check=True, capture_output=True).stdout


def sealed(key: Key, text: str, *rules: str) -> bytes:
    """A file that a person made with `sops` from this YAML."""
    types = ("--input-type", "yaml", "--output-type", "yaml", "--filename-override", "x.yaml")
    return by_hand(key, "encrypt", "--age", key.recipients[0], *rules, *types, stdin=text.encode())


def ciphertexts(data: bytes) -> dict[str, str]:
    """Each line of the file that holds an encrypted value, by the name before it."""
    return dict(re.findall(r"^ +(\S.*?): (ENC\[.*\])$", data.decode(), re.MULTILINE))


def test_values_come_back(key: Key) -> None:
    """What is encrypted is read by the store, and references that it does not have are absent."""
    data = sops.encrypt({PASSWORD: "one", TOKEN: "two", OTHER: ""}, key.recipients)
    store: Store = SopsStore(data, key.path)
    assert store.read([PASSWORD, TOKEN]) == {PASSWORD: "one", TOKEN: "two"}
    assert store.read([OTHER, Reference.parse("op://blumeops/miniflux/none")]) == {OTHER: ""}
    assert store.read([Reference.parse("op://blumeops/gandi/api")]) == {}
    assert SopsStore(None, key.path).read([PASSWORD]) == {}


def test_a_person_reads_the_file_with_sops(key: Key) -> None:
    """`sops -d` by hand gives the tree of vault, item, field."""
    data = sops.updated(sops.updated(None, {PASSWORD: "one"}, key), {TOKEN: "two"}, key)
    text = by_hand(key, "-d", "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin", stdin=data)
    assert " ".join(text.decode().split()) == "blumeops: miniflux: admin-password: one gandi: api: pat: two"


@pytest.mark.parametrize(
    "value",
    ["010", "yes", "null", "1.50", "two\nlines\n", " space ", "Grüße ✓", "\"'\\{{x}}", "# no", "a: b", "x" * 70_000],
)
def test_any_text_comes_back_as_it_was(key: Key, value: str) -> None:
    """No value is taken for a number, a boolean, a comment or a template, when made new or set later."""
    data = sops.updated(None, {PASSWORD: value}, key)
    data = sops.updated(data, {TOKEN: value}, key)
    assert sops.decrypt(data, key.path) == {PASSWORD: value, TOKEN: value}


def test_scalars_of_other_types_come_out_as_text(key: Key) -> None:
    """Numbers and booleans that a person wrote are strings here; null and lists are no values."""
    data = sealed(key, "v: {i: {n: 5432, big: 12345678901234567, f: 1.25, b: true, s: '1.50', nul: null, l: [1]}}\n")
    found = {reference.field: value for reference, value in sops.decrypt(data, key.path).items()}
    assert found == {"n": "5432", "big": "12345678901234567", "f": "1.25", "b": "true", "s": "1.50"}


def test_setting_a_value_leaves_the_others_alone(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ciphertext, comments and order of other entries stay; the same value again gives the same bytes."""
    before = sealed(key, "blumeops:\n  # by erich\n  zot:\n    token: keep\n  miniflux:\n    admin-password: old\n")
    after = sops.updated(before, {PASSWORD: "new", TOKEN: "two"}, key)
    assert ciphertexts(after)["token"] == ciphertexts(before)["token"]
    assert ciphertexts(after)["admin-password"] != ciphertexts(before)["admin-password"]
    assert b"# by erich" in by_hand(key, "decrypt", "--input-type", "yaml", "--output-type", "yaml", stdin=after)
    assert sops.decrypt(after, key.path)[PASSWORD] == "new"
    assert sops.decrypt(after, key.path)[TOKEN] == "two"
    monkeypatch.setattr(sops, "run", lambda *_, **__: pytest.fail("sops was started"))
    assert sops.updated(after, {PASSWORD: "new"}, key) == after


def test_a_file_keeps_its_recipients(key: Key, tmp_path: Path) -> None:
    """Who could open it before can open it after somebody else set a value."""
    friend = load_or_create(tmp_path / "friend.key")
    data = sops.encrypt({PASSWORD: "one"}, [*key.recipients, *friend.recipients])
    data = sops.updated(data, {TOKEN: "two"}, key)
    assert sops.decrypt(data, friend.path) == sops.decrypt(data, key.path) == {PASSWORD: "one", TOKEN: "two"}


def test_a_wrong_key_is_said_in_one_line(key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file; keys of the environment and the home folder are not tried instead."""
    data = sops.encrypt({PASSWORD: CANARY}, key.recipients)
    monkeypatch.setenv("SOPS_AGE_KEY", key.path.read_text().splitlines()[-1])
    wrong = load_or_create(tmp_path / "wrong.key")
    with pytest.raises(UserError, match="cannot be opened with this age key") as caught:
        sops.decrypt(data, wrong.path, "lab/secrets.yaml")
    assert (caught.value.code, caught.value.subject) == ("BLU503", "lab/secrets.yaml")
    assert "\n" not in str(caught.value)


def test_a_changed_file_is_refused(key: Key) -> None:
    """A value edited, one removed, the date changed: each is seen, and nothing of the file is in the error."""
    data = sops.encrypt({PASSWORD: CANARY, TOKEN: "two"}, key.recipients).decode()
    cipher = ciphertexts(data.encode())["pat"]
    for changed in (
        data.replace(cipher, cipher.replace("data:", "data:AAAA")),
        data.replace(f"pat: {cipher}", f"pat: {CANARY}"),
        re.sub(r"\n +admin-password:.*", "", data),
        data.replace('lastmodified: "2', 'lastmodified: "3'),
    ):
        assert changed != data
        with pytest.raises(UserError) as caught:
            sops.decrypt(changed.encode(), key.path)
        assert caught.value.code == "BLU504"
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"a: b\n", b"[1]\n", b"\xff\xfe\x00", f"a: b: {CANARY}".encode(), b"a: {sops: {}}\n", b"sops: {age: []}\n",
        b"a: 1\n---\nb: 2\n", b"[" * 100_000, b"a: &x [1]\nb: *x\nsops: {age: [x]}\n", b"#" * (sops.LARGEST + 1),
        b"v: {}\nsops: {age: [x], hc_vault: [{vault_address: 'http://127.0.0.1:1/'}]}\n",
        b"v: {}\nsops: {age: [x], key_groups: [{pgp: [x]}]}\n", b"v: {}\nsops: {age: [x], <<: {kms: [x]}}\n",
    ],
)  # fmt: skip
def test_hostile_and_foreign_files_never_reach_sops(key: Key, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a plain SOPS file for age keys is refused before a program reads it, without being quoted."""
    monkeypatch.setattr(sops, "run", lambda *_, **__: pytest.fail("sops was started"))
    with pytest.raises(UserError) as caught:
        sops.decrypt(text, key.path)
    assert caught.value.code == "BLU504"
    assert CANARY not in f"{caught.value}{caught.value.__cause__}"


def test_a_file_with_other_kinds_of_keys_left_empty_is_read(key: Key) -> None:
    """Older SOPS writes empty lists for the kinds of keys that are not used."""
    data = sops.encrypt({PASSWORD: "one"}, key.recipients)
    data = data.replace(b"sops:\n", b"sops:\n    kms: []\n    hc_vault: []\n    pgp: []\n")
    assert sops.decrypt(data, key.path) == {PASSWORD: "one"}


@pytest.mark.parametrize(
    "path", ["op://blumeops/miniflux/admin-password/deeper", "op://blumeops/gandi/api", "op://sops/a/b"]
)
def test_a_value_never_takes_the_place_of_a_section(key: Key, path: str) -> None:
    """SOPS would drop what was there without a word."""
    existing = {PASSWORD: "one", TOKEN: "two"}
    wrong = {Reference.parse(path): "x"}
    data = sops.encrypt(existing, key.recipients)
    with pytest.raises(UserError) as caught:
        sops.updated(data, wrong, key)
    assert caught.value.code == "BLU506"
    with pytest.raises(UserError) as caught:
        sops.encrypt({**existing, **wrong}, key.recipients)
    assert caught.value.code == "BLU506"
    with pytest.raises(UserError) as caught:
        sops.updated(sops.encrypt({}, key.recipients), {**existing, **wrong}, key)
    assert caught.value.code == "BLU506"


def test_no_rule_leaves_a_value_in_the_clear(key: Key) -> None:
    """Names with SOPS's suffix `_unencrypted` are encrypted in our files, and refused in files with that rule."""
    reference = Reference.parse("op://blumeops/odd/x_unencrypted")
    assert CANARY.encode() not in sops.encrypt({reference: CANARY}, key.recipients)
    theirs = sealed(key, "blumeops: {zot: {token: keep}}\n")
    with pytest.raises(UserError, match="leaves this name unencrypted") as caught:
        sops.updated(theirs, {reference: CANARY}, key)
    assert CANARY not in str(caught.value)


def test_a_value_is_nowhere_in_the_clear(key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the ciphertext, in argv, in the environment, nor in any temporary file that `sops` leaves."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    seen: list[str] = []

    def watched(argv: Sequence[str], **options: Any) -> processes.Completed:
        done = processes.run(argv, **options)
        files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        seen.append(repr((argv, options["env"], files)))
        return done

    monkeypatch.setattr(sops, "run", watched)
    data = sops.updated(None, {PASSWORD: CANARY}, key)
    data = sops.updated(data, {TOKEN: CANARY + "-2"}, key)
    assert sops.decrypt(data, key.path)[TOKEN] == CANARY + "-2"
    assert len(seen) == 4
    assert "ENC[" in "".join(seen), "the temporary ciphertext was looked at"
    assert CANARY not in "".join(seen) + data.decode()
    assert list(folder.iterdir()) == []


def test_a_file_is_decrypted_once(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking again at the same revision starts no process."""
    data = sops.encrypt({PASSWORD: "one"}, key.recipients)
    assert SopsStore(data, key.path).read([PASSWORD]) == {PASSWORD: "one"}
    monkeypatch.setattr(sops, "run", lambda *_, **__: pytest.fail("sops was started"))
    assert SopsStore(bytes(bytearray(data)), key.path).read([PASSWORD]) == {PASSWORD: "one"}
