"""What a backup holds, and borgmatic's configuration of it, from a lab alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from blumeops.checks.check import check_folder
from blumeops.lab import yaml
from blumeops.render import local
from blumeops.render.local_unit import FolderPart, LocalUnit, PortPart, SecretFilePart, Text

LABS = Path(__file__).parents[2] / "labs"


def said(text: Text) -> str:
    """The text with words for what only the machine knows."""
    found = []
    for part in text:
        match part:
            case str():
                found.append(part)
            case FolderPart():
                found.append(f"{part.before}/{part.folder}/{part.unit}/{part.name}{part.after}")
            case SecretFilePart():
                found.append(f"/secrets/{part.secret_file}")
            case PortPart():
                found.append("5432")
            case _:
                raise AssertionError(part)
    return "".join(found)


def job(lab: str, tmp_path: Path, more: str = "") -> LocalUnit:
    """borgmatic in a lab of the project."""
    folder = tmp_path / "lab"
    shutil.copytree(LABS / lab, folder)
    if more:
        with next((folder / "services").glob("*.yaml")).open("a") as file:
            file.write(more)
    checked = check_folder(folder)
    assert checked.passed, checked.findings
    return local.units(local.render(checked.passed))["borgmatic"]


def configuration(unit: LocalUnit) -> dict[str, Any]:
    """Its file, read as YAML."""
    found: dict[str, Any] = yaml.read(said(unit.files["config.yaml"]).encode(), "config.yaml").data
    return found


def test_a_lab_that_says_nothing_of_backups(tmp_path: Path) -> None:
    """What is kept goes beside what Borg remembers: the database as a dump, and not the folder of its server."""
    unit = job("first", tmp_path, "borgmatic: {host: server}\n")
    found = configuration(unit)
    assert found["source_directories"] == ["/state/caddy/data"]
    (database,) = found["postgresql_databases"]
    assert (database["name"], database["username"], database["format"]) == ("miniflux", "miniflux", "custom")
    assert database["password"] == '{credential file "/secrets/miniflux-database"}'
    assert [each["path"] for each in found["repositories"]] == ["/state//data/repository"]
    assert found["keep_daily"] == 7
    assert unit.at == "02:00"


def test_no_secret_is_in_it(tmp_path: Path) -> None:
    """The passphrase and the password of each database are private files of the job."""
    unit = job("first", tmp_path, "borgmatic: {host: server}\n")
    assert unit.secret_files == {
        "passphrase": "op://first/borgmatic/passphrase",
        "miniflux-database": "op://first/miniflux/database-password",
    }
    assert configuration(unit)["encryption_passcommand"] == "cat '/secrets/passphrase'"


def test_a_lab_that_says_where_and_how_long(tmp_path: Path) -> None:
    """The repository is the lab's folder in that share; what a built-in stands in for is not there to be kept."""
    unit = job("blumeops", tmp_path)
    found = configuration(unit)
    assert [each["path"] for each in found["repositories"]] == ["/share//sifaka/backups/blumeops"]
    assert (found["keep_daily"], found["keep_monthly"], found["keep_yearly"]) == (7, 12, 10)
    assert "/state/prometheus/data" in found["source_directories"]
    assert not [each for each in found["source_directories"] if "/forgejo/" in each or "/borgmatic/" in each]


def test_it_waits_for_and_uses_the_server_of_the_databases(tmp_path: Path) -> None:
    """Its pg_dump is on the job's PATH, and so is Borg."""
    unit = job("first", tmp_path, "borgmatic: {host: server}\n")
    assert unit.uses == ("postgresql",)
    assert "postgresql" in unit.needs
    assert [tool.sources[0].name for tool in unit.tools] == ["borg"]


@pytest.mark.parametrize(
    ("missing", "says"), [("passphrase", "needs the secret `passphrase`"), ("template", "has a template too")]
)
def test_an_app_of_ones_own_that_is_wrong(missing: str, says: str, tmp_path: Path) -> None:
    """What the configuration cannot be without is asked for where the app is described."""
    folder = tmp_path / "lab"
    shutil.copytree(LABS / "first", folder)
    shutil.copytree(Path(local.__file__).parents[1] / "catalogue" / "borgmatic", folder / "apps" / "borgmatic")
    file = folder / "apps" / "borgmatic" / "app.yaml"
    lines = file.read_text().splitlines()
    if missing == "passphrase":
        lines = [line for line in lines if "passphrase" not in line and line != "secrets:"]
    text = "\n".join(lines).replace("template: config.yaml, " if missing == "template" else "\0", "")
    file.write_text(text + "\n")
    with (folder / "services" / "services.yaml").open("a") as services:
        services.write("borgmatic: {host: server}\n")
    assert any(says in str(finding) for finding in check_folder(folder).findings)
