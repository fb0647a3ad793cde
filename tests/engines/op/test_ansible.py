"""Ansible, with its lookups for 1Password unchanged, in front of a SOPS store."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from tests.engines.host.playbook import PlaybookFailed, run
from tests.engines.op.store import SECRETS, Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOOKUPS = {
    "field": "lookup('community.general.onepassword', 'miniflux', vault='lab')",
    "other": "lookup('community.general.onepassword', 'miniflux', field='username', vault='lab')",
    "section": "lookup('community.general.onepassword', 'gandi', field='pat', section='api')",
    "raw": "lookup('community.general.onepassword_raw', 'gandi', vault='lab')",
    "document": "lookup('community.general.onepassword_doc', 'certificate', vault='lab') | b64encode",
}


def play(folder: Path, collections: Path, facts: dict[str, str]) -> dict[str, object]:
    """What a playbook saw of these expressions."""
    (folder / "ansible.cfg").write_text(f"[defaults]\ncollections_path = {collections}\n")
    seen = folder / "seen.json"
    (folder / "play.yml").write_text(json.dumps([{
        "hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [{
            "ansible.builtin.copy": {"dest": str(seen), "mode": "0600", "content": "{{ seen | to_json }}"},
            "vars": {"seen": {name: f"{{{{ {expression} }}}}" for name, expression in facts.items()}}, "no_log": True,
        }],
    }]))  # fmt: skip
    (folder / "hosts").write_text(f"localhost ansible_python_interpreter={sys.executable}\n")
    run(folder / "play.yml", folder / "hosts", home=folder)
    found: dict[str, object] = json.loads(seen.read_text())
    return found


def test_lookups_of_community_general_find_everything(
    store: Store, collections: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onepassword, onepassword_raw and onepassword_doc ask our `op` as they would ask 1Password's."""
    monkeypatch.setenv("PATH", store.search)
    seen = play(tmp_path, collections, LOOKUPS)
    assert seen["field"] == SECRETS["op://lab/miniflux/password"]
    assert seen["other"] == "erich"
    assert seen["section"] == "canary-pat"
    assert seen["raw"]["title"] == "gandi"  # type: ignore[index]  # what a raw lookup gives is an item
    document = seen["document"]  # bytes, as that lookup gives them
    assert b64decode(str(document)).decode() == SECRETS["op://lab/certificate/document"]


def test_an_item_that_is_not_there_fails_the_play(
    store: Store, collections: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With op's own words in Ansible's error, instead of an empty password."""
    monkeypatch.setenv("PATH", store.search)
    with pytest.raises(PlaybookFailed, match=r"t an item in the .lab. vault"):
        play(tmp_path, collections, {"none": "lookup('community.general.onepassword', 'none', vault='lab')"})
