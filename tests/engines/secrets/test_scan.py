"""The real scanner over files of a push: what it finds, what it leaves alone, and that no value is told."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Mapping
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # ships no types
import pytest

from blumeops.base.errors import EngineError
from blumeops.lab.settings import SecretsSetting
from blumeops.secrets import scan, sops
from blumeops.secrets.references import Reference


def made_up(seed: int, length: int) -> str:
    """Something that looks like a secret, and stands in no file of this project."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length))  # no secret


FILES = {
    "services/a.yaml": f"# gitleaks:allow betterleaks:allow\nTOOL_PASSWORD: {made_up(1, 20)}\n",
    "notes.md": f"fine\n\nghp_{made_up(2, 36)}  # gitleaks:allow\n",
    "clean.yaml": "x: {admin_password: op://blumeops/miniflux/admin-password}\napi_token: '{{ secrets.token }}'\n"
    f"digest: sha256:{'0f' * 32}\n",
    ".betterleaks.toml": 'title = "mine"\n',
}
"""Two secrets, and what is none."""


def looked(files: Mapping[str, str], work: Path) -> set[tuple[str, int, str]]:
    """Path, line and rule of what is found."""
    names = list(files)
    told = scan.look(((name, text.encode()) for name, text in files.items()), work)
    return {(names[leak.at], leak.line, leak.rule) for leak in told}


def test_what_looks_like_a_secret_is_found_with_its_line(tmp_path: Path) -> None:
    """Marks and settings in the files do not count, references are none, and nothing is left behind."""
    assert looked(FILES, tmp_path) == {("notes.md", 3, "github-pat"), ("services/a.yaml", 2, "generic-password")}
    assert os.listdir(tmp_path) == [".lock"]
    assert looked({}, tmp_path) == set()


@pytest.mark.parametrize("path", ["../../out", "/etc/x", "a/../b", ".git/config", "a\nb", "x" * 300, "d/" * 40, ""])
def test_a_path_leads_nowhere(path: str, tmp_path: Path) -> None:
    """Paths of commits that nobody looked at: their files are looked through, and nothing is written elsewhere."""
    assert looked({path: FILES["notes.md"], "b": "b"}, tmp_path / "work") == {(path, 3, "github-pat")}
    assert os.listdir(tmp_path) == ["work"]


def test_of_a_sops_file_what_is_encrypted_is_none(tmp_path: Path) -> None:
    """What somebody wrote into it in the clear is found, at its line."""
    identity = pyrage.x25519.Identity.generate()
    values = {Reference.parse(f"op://lab/tool/{name}"): made_up(at, 40) for at, name in enumerate("abcdef")}
    text = sops.encrypt(values, [str(identity.to_public())]).decode()
    assert looked({sops.NAME: text}, tmp_path) == set()
    lines = text.split("\n")
    lines.insert(3, f"        clear: ghp_{made_up(3, 36)}")
    assert looked({sops.NAME: "\n".join(lines)}, tmp_path) == {(sops.NAME, 4, "github-pat")}


def test_a_scanner_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not "nothing found"."""
    monkeypatch.setattr(scan, "program", lambda: "/bin/false")
    with pytest.raises(EngineError) as refused:
        looked(FILES, tmp_path)
    assert refused.value.code == "BLU522"


def test_what_is_allowed_names_file_rule_and_reason() -> None:
    """A rule may be left out; a reason may not."""
    allowed = {"allow": [{"file": "docs/*", "rule": "github-pat", "reason": "an example of the manual"}]}
    setting = SecretsSetting.model_validate(allowed)
    assert setting.allows("docs/a/b.md", "github-pat")
    assert not setting.allows("docs/a.md", "private-key")
    assert not setting.allows("notes.md", "github-pat")
    with pytest.raises(ValueError, match="reason"):
        SecretsSetting.model_validate({"allow": [{"file": "docs/*"}]})
