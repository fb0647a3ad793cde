"""The program `op` in front of a SOPS store, called as scripts call 1Password's own."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.engines.op.store import BLUMEOPS, SECRETS, Store

ERROR = re.compile(r"\[ERROR\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d (.*)\n", re.DOTALL)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a call that must fail as op does: exit code 1, nothing on standard output, its own form."""
    assert (done.returncode, done.stdout) == (1, "")
    found = ERROR.fullmatch(done.stderr)
    assert found, done.stderr
    return found[1]


def test_clients_find_an_op_that_is_signed_in(store: Store) -> None:
    """What Ansible's lookups and other clients ask before anything else."""
    assert store.op("--version").stdout == "2.30.0\n"
    (account,) = json.loads(store.op("account", "list", "--format", "json").stdout)
    assert set(account) == {"url", "email", "user_uuid", "account_uuid"}
    assert json.loads(store.op("account", "get", "--format=json").stdout)["id"] == account["account_uuid"]
    assert json.loads(store.op("--format", "json", "whoami").stdout) == account
    assert store.op("signin", "--raw").returncode == 0
    for words in (
        ("--account", "x", "read"),
        ("read", "--session=abc", "--cache"),
        ("--no-color", "read", "--account=x", "--cache=false"),
    ):
        assert store.op(*words, "op://lab/miniflux/username", OP_FORMAT="json").stdout == "erich\n"


@pytest.mark.parametrize("reference", SECRETS)
def test_a_reference_is_read_to_the_byte(store: Store, reference: str) -> None:
    """With a newline behind it, as op prints it, or without."""
    assert store.op("read", reference).stdout == SECRETS[reference] + "\n"
    assert store.op("read", "--no-newline", reference).stdout == SECRETS[reference]


def test_names_may_differ_in_case_and_identifiers_stand_for_names(store: Store) -> None:
    """As in 1Password; a field of a section is found without it where that is clear."""
    item = json.loads(store.op("item", "get", "gandi", "--format", "json").stdout)
    by_id = f"op://{item['vault']['id']}/{item['id']}/{item['sections'][0]['id']}/{item['fields'][0]['id']}"
    for reference in (by_id, "op://LAB/Gandi/API/Pat", "op://lab/gandi/pat"):
        assert store.op("read", reference).stdout == "canary-pat\n"


FORM = ": secret references should match op://<vault>/<item>[/<section>]/<field>"
ERRORS = {
    "op://none/a/b": "could not read secret 'op://none/a/b': \"none\" isn't a vault in this account. "
    "Specify the vault with its ID or name.",
    "op://lab/none/b": 'could not read secret \'op://lab/none/b\': "none" isn\'t an item in the "lab" vault. '
    "Specify the item with its UUID, name, or domain.",
    "op://lab/gandi/x": 'could not read secret \'op://lab/gandi/x\': "x" isn\'t a field in the "gandi" item.',
    "op://lab/gandi": f"invalid secret reference: too few '/' in 'op://lab/gandi'{FORM}",
    "op://lab/gandi/pat?attribute=otp": "invalid secret reference: `?attribute=otp` is asked of a store that "
    f"keeps plain values and computes none{FORM}",
    "canary-f1": f"invalid secret reference: it does not start with op://{FORM}",
}


@pytest.mark.parametrize(("reference", "error"), ERRORS.items())
def test_what_is_not_there_is_said_as_op_says_it(store: Store, reference: str, error: str) -> None:
    """On standard error, after the date, with exit code 1; a value in the place of a reference is not repeated."""
    assert said(store.op("read", reference)) == error


def test_an_item_is_shown_as_op_shows_it(store: Store) -> None:
    """Fields with sections, purposes, types and references."""
    item = json.loads(store.op("item", "get", "miniflux", "--vault=lab", "--format", "json").stdout)
    assert re.fullmatch("[a-z0-9]{26}", item["id"])
    assert (item["title"], item["vault"]["name"], item["category"]) == ("miniflux", "lab", "LOGIN")
    (section,) = item["sections"]
    fields = {field["reference"]: field for field in item["fields"]}
    first = fields["op://lab/miniflux/first user/password"]
    assert first["section"] == section == {"id": section["id"], "label": "first user"}
    assert fields["op://lab/miniflux/password"] == {
        "id": "password", "type": "CONCEALED", "purpose": "PASSWORD", "label": "password",
        "value": SECRETS["op://lab/miniflux/password"], "reference": "op://lab/miniflux/password",
    }  # fmt: skip
    assert fields["op://lab/miniflux/username"]["type"] == "STRING"


def test_chosen_fields_are_shown(store: Store) -> None:
    """One as an object, several as a list; for people hidden without --reveal, since op 2.30."""
    of = ("item", "get", "miniflux", "--vault", "lab", "--fields")
    assert json.loads(store.op(*of, "label=username", "--format", "json").stdout)["value"] == "erich"
    assert len(json.loads(store.op(*of, "type=concealed", "--format", "json").stdout)) == 2
    assert store.op(*of, "username,first user.password", "--reveal").stdout == "erich,in a section\n"
    assert "canary" not in store.op(*of, "password").stdout
    assert "canary" not in store.op("item", "get", "miniflux", "--vault", "lab").stdout


def test_an_item_that_two_vaults_have_must_be_told_apart(store: Store) -> None:
    """The error names each with its identifier, which then is enough."""
    error = said(store.op("item", "get", "miniflux"))
    assert error.startswith('More than one item matches "miniflux". Try again and specify the item by its ID:')
    wanted = re.findall(r"in vault people: ([a-z0-9]{26})", error)
    assert json.loads(store.op("item", "get", *wanted, "--format", "json").stdout)["vault"]["name"] == "people"


def test_items_and_vaults_are_listed_without_values(store: Store) -> None:
    """By vault and by category."""
    items = json.loads(store.op("item", "list", "--vault", "lab", "--format", "json").stdout)
    assert [item["title"] for item in items] == ["certificate", "gandi", "miniflux"]
    assert "canary" not in json.dumps(items)
    (login,) = json.loads(store.op("item", "list", "--vault=lab", "--categories", "Login", "--format=json").stdout)
    assert login["title"] == "miniflux"
    assert [each["name"] for each in json.loads(store.op("vault", "list", "--format=json").stdout)] == ["lab", "people"]
    assert store.op("item", "list").stdout.splitlines()[0].split() == ["ID", "TITLE", "VAULT", "EDITED"]


def test_a_document_is_the_content_of_a_file(store: Store, tmp_path: Path) -> None:
    """Byte for byte, printed or into a private file; never over a file that is there."""
    content = SECRETS["op://lab/certificate/document"]
    assert store.op("document", "get", "certificate", "--vault", "lab").stdout == content
    out = tmp_path / "c.pem"
    assert store.op("document", "get", "certificate", "--out-file", str(out)).stdout == f"{out}\n"
    assert (out.read_text(), stat.S_IMODE(out.stat().st_mode)) == (content, 0o600)
    assert "is there already" in said(store.op("document", "get", "certificate", "--out-file", str(out)))
    assert "isn't a document" in said(store.op("document", "get", "gandi"))


def test_a_template_is_filled_in(store: Store, tmp_path: Path) -> None:
    """References with and without braces, variables in them, and text that is left alone."""
    template = tmp_path / "t"
    template.write_text(
        '{{ op://lab/gandi/api/pat }}|op://${V:-lab}/gandi/api/pat|$who|{{ "{{ op://a/b/c }}" }}|{{ x }}\n'
    )
    out = tmp_path / "out"
    words = ("inject", "-i", str(template), "-o", str(out), "--file-mode", "0640")
    assert store.op(*words, WHO="erich").returncode == 0
    assert out.read_text() == "canary-pat|canary-pat|erich|{{ op://a/b/c }}|{{ x }}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert store.op("inject", stdin=b"a: {{ op://lab/gandi/api/pat }}\n").stdout == "a: canary-pat\n"
    assert "canary" not in said(store.op("inject", stdin=b"op://lab/gandi/api/pat op://lab/none/x\n"))


def test_wrong_use_is_an_error_of_op(store: Store) -> None:
    """Exit code 1 and not 2, and what a terminal would act on is not repeated."""
    said(store.op("nonsense"))
    said(store.op("item", "get"))
    assert "\x1b" not in said(store.op("read", "op://lab/\x1b[31m/x"))


def test_a_store_that_cannot_be_opened_says_so(store: Store, tmp_path: Path) -> None:
    """A key that is away: nobody is signed in, and no secret comes."""
    shim = [str(BLUMEOPS), "op", "shim", str(tmp_path), "--file", str(store.file), "--age-key", str(tmp_path / "none")]
    subprocess.run(shim, check=True, capture_output=True, timeout=30)
    other = Store(store.file, tmp_path / "none", tmp_path)
    assert "cannot be read" in said(other.op("account", "list"))
    assert "cannot be read" in said(other.op("read", "op://lab/gandi/api/pat"))


def test_a_program_of_somebody_else_is_never_written_over(store: Store, tmp_path: Path) -> None:
    """1Password's own op stays what it is."""
    (tmp_path / "op").write_text("#!/bin/sh\n")
    words = [str(BLUMEOPS), "op", "shim", str(tmp_path), "--file", str(store.file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, (tmp_path / "op").read_text()) == (1, "#!/bin/sh\n")
    assert "BLU530" in done.stderr
