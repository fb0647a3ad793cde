"""Who names which secret, and how old the values are: from a lab's files and the versions of its SOPS file."""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.base.errors import UserError
from blumeops.checks.check import check_folder
from blumeops.facts.derive import Recipe
from blumeops.secrets.ages import changed_at
from blumeops.secrets.inventory import Entry, ambiguous, inventory, unused
from blumeops.secrets.references import Reference

LABS = Path(__file__).parents[2] / "labs"


def entries(lab: str) -> dict[str, Entry]:
    """The inventory of a lab that ships with the project."""
    checked = check_folder(LABS / lab).passed
    assert checked is not None
    return {str(entry.reference): entry for entry in inventory(checked.lab, checked.facts)}


def test_each_reference_once_with_all_its_users() -> None:
    """Services and lab.yaml itself; what a person must bring has no length."""
    found = entries("blumeops")
    token = found["op://blumeops/gandi/pat"]
    assert [use.subject for use in token.uses] == ["network.dns.token"]
    assert token.recipe is None
    assert token.uses[0].here == ()
    assert found["op://blumeops/tailscale-operator/client-id"].recipe is None
    admin = found["op://blumeops/miniflux/admin-password"]
    assert (admin.recipe, admin.uses[0].once) == (Recipe(length=24), True)
    assert admin.uses[0].here == ("environment (ADMIN_PASSWORD)",)
    assert admin.uses[0].place.file.startswith("services/")


def test_what_something_built_in_stands_in_for_gets_no_secret_here() -> None:
    """The forge is ours at site `here`; at home forgejo reads its keys."""
    (use,) = entries("blumeops")["op://blumeops/forgejo/secret-key"].uses
    assert use.here == ()
    assert use.home == "`op read` by the playbook of indri"


def test_delivery_by_file_and_to_those_who_need_a_database() -> None:
    """The superuser's password is also in the environment of the command that makes another's database."""
    use = entries("first")["op://first/postgresql/superuser-password"].uses[0]
    assert use.here == ("private file", "environment of the command that makes miniflux's database")
    assert use.home == "ExternalSecret in postgresql of cluster"


def test_labels_that_stand_twice_in_an_item_and_what_nobody_names() -> None:
    """Sections do not keep labels apart; another item does."""
    one, two, other = (Reference.parse(f"op://v/{each}") for each in ("i/a/key", "i/b/key", "j/key"))
    assert ambiguous([other, two, one]) == [(one, two)]
    named = [Entry(one, (), None)]
    assert unused(named, [other, two, one]) == [two, other]


def sops(**values: str) -> bytes:
    """A file as SOPS writes it, with this ciphertext."""
    fields = "".join(f"        {name}: {value}\n" for name, value in values.items())
    return f"v:\n    i:\n{fields}sops:\n    age:\n        - recipient: age1x\n          enc: x\n    mac: x\n".encode()


def test_a_value_is_as_old_as_its_ciphertext() -> None:
    """One that changed is new; one that stayed is old, also when another file stood between."""
    a, b = Reference.parse("op://v/i/a"), Reference.parse("op://v/i/b")
    versions = [(40, sops(a="A2", b="B")), (30, sops(a="A1", b="B")), (20, sops(b="B")), (10, sops(b="B0"))]
    assert changed_at(versions) == {a: 40, b: 20}
    assert changed_at([*versions[:2], (20, b"not one"), versions[3]]) == {a: 40, b: 30}
    assert changed_at([]) == {}
    with pytest.raises(UserError) as refused:
        changed_at([(1, b"not one")])
    assert refused.value.code == "BLU504"
