"""Another lab on the wire: pods leave by the operator's proxies, and the lab has a policy of its own beside."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blumeops.checks.check import check_folder
from tests.engines.caddy.built import FIRST

from .conftest import LABS, seen

pytestmark = pytest.mark.timeout(FIRST)

OWN = """{
  "hosts": {"nas": "100.64.0.4"},
  "grants": [
    {"src": ["group:members"], "dst": ["tag:sifaka"], "ip": ["tcp:445", "tcp:8000-9000", "udp:53"]},
    {"src": ["autogroup:member"], "dst": ["autogroup:self"], "ip": ["22"]},
    {"src": ["*"], "dst": ["tag:sifaka"], "ip": ["icmp:*"]},
  ],
  "acls": [{"action": "accept", "src": ["tag:minikube-egress"], "proto": "tcp", "dst": ["nas:2049", "tag:sifaka:22"]}],
}
"""


def test_pods_behind_the_operator_and_a_policy_of_ones_own(tmp_path: Path) -> None:
    """Pods are their egress proxy to every filter; ports, protocols and devices of one's own are told apart."""
    folder = tmp_path / "lab"
    shutil.copytree(LABS / "blumeops", folder)
    settings = (folder / "lab.yaml").read_text()
    assert "egress: host}" in settings
    (folder / "lab.yaml").write_text(settings.replace("egress: host}", "egress: operator}"))
    (folder / "policy.hujson").write_text(OWN)
    checked = check_folder(folder)
    assert checked.passed, checked.findings
    with seen(checked.passed) as found:
        wire = found.wire
        assert wire.packets(found.packets) == []
        assert wire.compare(found.answers) == []
        assert wire.verdicts(found.answers) == []
        assert found.answers["person:household"]["household-2.tail8d86e.ts.net", 22] == "person:household#2"
        assert found.answers["person:household"]["sifaka.tail8d86e.ts.net", 445] == "host:sifaka"
        assert found.answers["cluster:minikube"]["feed.ops.eblu.me", 443] == "miniflux"
