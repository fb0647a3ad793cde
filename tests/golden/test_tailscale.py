"""The policy that labs become, byte for byte; the engine takes each, and its tests hold.

`UPDATE=1 pytest tests/golden/test_tailscale.py` writes the files anew: read the diff before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.facts import policy as engine
from blumeops.facts.access.access import Access
from blumeops.facts.access.merged import Merged
from blumeops.render.tailscale import render

HERE = Path(__file__).resolve().parent / "tailscale"
REPOSITORY = HERE.parents[2]
LABS = {
    "blumeops": REPOSITORY / "labs" / "blumeops",
    "first": REPOSITORY / "labs" / "first",
    "own-policy": HERE.parent / "checks" / "BLU216-policy-defines-otherwise" / "good",
}


def rendered(lab: str) -> FileTree:
    """The files of one of LABS."""
    checked = check_folder(LABS[lab])
    assert checked.passed, checked.findings
    return render(checked.passed)


@pytest.mark.parametrize("lab", LABS)
def test_the_files_are_these(lab: str) -> None:
    """The same lab gives the same bytes, and no other files."""
    tree = rendered(lab)
    assert rendered(lab).files == tree.files
    if os.environ.get("UPDATE"):
        for path, content in tree.files.items():
            (HERE / lab / path).parent.mkdir(parents=True, exist_ok=True)
            (HERE / lab / path).write_bytes(content)
    kept = {str(path.relative_to(HERE / lab)): path.read_bytes() for path in (HERE / lab).rglob("*") if path.is_file()}
    assert dict(tree.files) == kept


@pytest.mark.parametrize("lab", LABS)
def test_the_policy_is_taken_and_its_tests_hold(lab: str) -> None:
    """No finding, and every assertion passes, in the lab's own tailnet and where names stand for themselves."""
    read = engine.read(rendered(lab).files["tailscale/policy.hujson"], "policy.hujson")
    assert read.findings == ()
    assert read.policy
    checked = check_folder(LABS[lab])
    assert checked.passed
    tailnet = Merged(Access(checked.passed.lab, checked.passed.facts)).tailnet
    for given in (tailnet, None):
        trials = engine.run_tests(read.policy, given)
        assert trials
        assert [trial.text for trial in trials if not trial.passed] == []


@pytest.mark.parametrize("lab", LABS)
def test_the_text_says_what_the_engine_was_given(lab: str) -> None:
    """What is read back is the policy that verdicts are taken from."""
    checked = check_folder(LABS[lab])
    assert checked.passed
    given = Merged(Access(checked.passed.lab, checked.passed.facts)).read.policy
    read = engine.read(rendered(lab).files["tailscale/policy.hujson"], "policy.hujson").policy
    assert given
    assert read
    assert list(map(str, read.rules)) == list(map(str, given.rules))
    assert (read.groups, read.tag_owners.keys()) == (given.groups, given.tag_owners.keys())


def test_a_host_serves_what_people_reach_on_it() -> None:
    """Each Tailscale Service leads to the port of its program on loopback."""
    served = json.loads(rendered("blumeops").files["tailscale/serve/indri.json"])
    assert served["services"]["svc:forge"] == {
        "endpoints": {"tcp:443": "http://127.0.0.1:3000", "tcp:2222": "tcp://127.0.0.1:2200"}
    }
