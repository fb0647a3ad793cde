"""The real scanner over files of a push: what it finds, what it leaves alone, and that no value is told."""

from __future__ import annotations

import os
import random
import string
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError
from blumeops.lab.settings import SecretsSetting
from blumeops.secrets import scan


def made_up(seed: int, length: int) -> str:
    """Something that looks like a secret, and stands in no file of this project."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length))  # no secret


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab's folder with two secrets in it, and what is none."""
    folder = tmp_path / "lab"
    (folder / "services").mkdir(parents=True)
    password = made_up(1, 20)
    (folder / "services" / "a.yaml").write_text(f"# gitleaks:allow betterleaks:allow\nTOOL_PASSWORD: {password}\n")
    (folder / "notes.md").write_text(f"fine\n\nghp_{made_up(2, 36)}  # gitleaks:allow\n")
    clean = "x: {admin_password: op://blumeops/miniflux/admin-password}\napi_token: '{{ secrets.token }}'\n"
    (folder / "clean.yaml").write_text(f"{clean}digest: sha256:{'0f' * 32}\n")
    (folder / "secrets.sops.yaml").write_text(f"token: ghp_{made_up(3, 36)}\n")
    (folder / "link").symlink_to("notes.md")
    (folder / ".betterleaks.toml").write_text('title = "mine"\n')
    return folder


def names(folder: Path) -> list[str]:
    """Every file."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_what_looks_like_a_secret_is_found_with_its_line(lab: Path, tmp_path: Path) -> None:
    """Marks and settings in the files do not count; links and the SOPS file are passed over; no value is told."""
    found = scan.look(lab, names(lab), tmp_path)
    told = {(each.code, each.place.file, each.place.line, each.subject) for each in found}
    assert told == {
        ("BLU521", "notes.md", 3, "github-pat"), ("BLU521", "services/a.yaml", 2, "generic-password"),
    }  # fmt: skip
    text = "\n".join(map(str, found))
    assert made_up(1, 20) not in text
    assert made_up(2, 36) not in text
    assert sorted(os.listdir(tmp_path)) == [".lock", "lab"]


def test_only_the_files_that_are_named_are_looked_at(lab: Path, tmp_path: Path) -> None:
    """What a push does not change is not held against it."""
    assert scan.look(lab, ["clean.yaml", "gone.yaml"], tmp_path) == []
    assert [each.place.file for each in scan.look(lab, ["notes.md"], tmp_path)] == ["notes.md"]


def test_a_scanner_that_fails_is_an_error(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not "nothing found"."""
    monkeypatch.setattr(scan, "program", lambda: "/bin/false")
    with pytest.raises(EngineError) as refused:
        scan.look(lab, ["notes.md"], tmp_path)
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
