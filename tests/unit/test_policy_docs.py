"""The documentation of policies: what its pages show is what the code does."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from blumeops.base.findings import Place
from blumeops.cli.main import main
from blumeops.facts import policy
from blumeops.facts.policy.read import SECTIONS
from blumeops.facts.policy.selectors import AUTOGROUPS

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "policy.md").read_text()
HOW_TO = (DOCS / "how-to" / "check-a-tailscale-policy.md").read_text()


def fenced(language: str) -> str:
    """The block of the reference in a language."""
    found = re.search(rf"```{language}\n(.*?)```", REFERENCE, re.DOTALL)
    assert found
    return found[1]


def test_every_section_operator_and_autogroup_is_documented() -> None:
    """What is understood stands on the page."""
    for name in SECTIONS:
        assert f"`{name}`" in REFERENCE, name
    for name in AUTOGROUPS:
        assert re.search(rf"`(autogroup:)?{name}`", REFERENCE), name
    for operator in ("==", "!=", "<", "<=", ">", ">=", "IN [...]", "NOT IN [...]", "IS SET", "NOT SET"):
        assert f"`{operator}`" in REFERENCE, operator


def test_the_file_of_nodes_can_be_read() -> None:
    """The JSON of the page is a tailnet."""
    tailnet, findings = policy.read_tailnet(fenced("json").encode(), "nodes.json")
    assert tailnet and not findings
    assert [node.name for node in tailnet.nodes] == ["laptop", "nas"]
    assert tailnet.roles == {"ann@example.com": "admin"}


def test_the_example_in_python_prints_what_is_said() -> None:
    """It runs as it stands."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(fenced("python"), "policy.md", "exec"), {"Place": Place})
    assert f"prints `{out.getvalue().strip()}`" in REFERENCE


def test_the_how_to_shows_what_the_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its finding, and its matrix."""
    monkeypatch.chdir(tmp_path)
    Path("policy.hujson").write_text(
        '{\n  "tagOwners": {"tag:server": []},\n  "grants": [\n'
        '    {"src": ["tag:sever"], "dst": ["*"], "ip": ["*"]},\n  ]\n}\n'
    )
    Path("home.hujson").write_text(
        '{"groups": {"group:family": ["ann@example.com"]}, "tagOwners": {"tag:nas": []}, "grants": ['
        '{"src": ["group:family"], "dst": ["autogroup:self"], "ip": ["*"]},'
        '{"src": ["group:family"], "dst": ["tag:nas"], "ip": ["tcp:443"]}]}'
    )
    for command, code in (("check policy.hujson", 1), ("matrix home.hujson", 0)):
        with pytest.raises(SystemExit) as left:
            main(["policy", *command.split()])
        assert left.value.code == code
        shown = re.search(rf"^    \$ blumeops policy {command}\n((?:    .*\n)*)", HOW_TO, re.MULTILINE)
        assert shown
        assert capsys.readouterr().out == re.sub("^    ", "", shown[1], flags=re.MULTILINE)
