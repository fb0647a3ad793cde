"""What a preview is called, and what it makes of a lab: another one, whole by itself, that can stand beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.app.previewed_lab import changed_files, issued_elsewhere, label_of, wanted_services
from blumeops.app.previews import NOTE, Preview, site_of, slug_of, sweep
from blumeops.base.errors import UserError
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.lab.settings import Here
from tests.cli.test_transcripts import REPO

HERE = Here(https=9443, forge=9480, dns=9453)


def passed(folder: Path) -> CheckedLab:
    """The lab, which passes the checks."""
    found = check_folder(folder)
    assert found.passed, [str(each) for each in found.findings]
    return found.passed


def previewed(source: Path, to: Path, *services: str) -> CheckedLab:
    """The lab that the preview of a lab in a folder describes."""
    checked = passed(source)
    shutil.copytree(source, to)
    keep = wanted_services(checked, services)
    for path, data in changed_files(checked, keep, "lab-idea", "idea", HERE).items():
        if data is None:
            (to / path).unlink(missing_ok=True)
        else:
            (to / path).write_bytes(data)
    return passed(to)


@given(st.text(min_size=1))
def test_any_branch_gives_a_legal_name(branch: str) -> None:
    """Part of a folder's name, a lab's and a host's; short; the same each time."""
    slug = slug_of(branch)
    assert slug == slug_of(branch)
    assert len(slug) <= 20
    Preview(branch=branch, lab=f"lab-{slug}", revision="", https=1, forge=2, dns=3)
    assert slug[0].isalpha() and slug.isascii() and slug == slug.lower() and slug.replace("-", "").isalnum()
    assert not slug.endswith("-")


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_two_branches_have_two_names(one: str, other: str) -> None:
    """Also one that is called as another's preview is."""
    if one != other:
        assert slug_of(one) != slug_of(other)
    assert slug_of(slug_of(one)) != slug_of(one) or slug_of(one) == one


@pytest.mark.parametrize(
    ("branch", "slug"),
    [("idea", "idea"), ("fix/#12", "fix-12-"), ("-x", "x-"), ("12", "b-"), ("../../etc", "etc-"), ("Idea", "idea-"),
     ("a" * 21, "aaaaaaaaaaaaa-"), ("x-123abc", "x-123abc-"), ("\udcff", "b-")],
)  # fmt: skip
def test_names_of_branches(branch: str, slug: str) -> None:
    """What can be a name is one; of what cannot, a digest says which."""
    found = slug_of(branch)
    assert found == slug if slug == branch else (found.startswith(slug) and len(found) == len(slug) + 6)


def test_labels_say_whose_they_are() -> None:
    """And long ones stay different, and short enough for a name of DNS."""
    assert label_of("feed", "idea") == "feed-idea"
    one, other = (label_of(f"{'a' * 48}{last}", "a-slug-of-20-char-ab") for last in "xy")
    assert one != other
    assert len(one) == len(other) == 50
    assert one.endswith("-a-slug-of-20-char-ab")


def test_the_whole_example_can_be_previewed(tmp_path: Path) -> None:
    """It passes the checks: own ports, names and secrets; no job, no forge to pull from, no policy of the tailnet."""
    lab = previewed(REPO / "labs" / "blumeops", tmp_path / "made").lab
    assert (lab.settings.lab, lab.settings.here) == ("lab-idea", HERE)
    assert (lab.settings.secrets.here, lab.settings.secrets.store) == ("sops", "sops")
    assert (lab.settings.gitops.url, lab.settings.gitops.forge) == (None, None)
    before = passed(REPO / "labs" / "blumeops").lab.services
    assert before.keys() - lab.services.keys() == {"borgmatic"}
    assert all(service.name and service.name.endswith("-idea") for service in lab.services.values())
    assert lab.services["miniflux"].model_copy(update={"name": "feed"}) == before["miniflux"]


def test_one_service_brings_what_it_needs_and_no_more(tmp_path: Path) -> None:
    """Its database, what delivers to it, the proxy; nobody who is left out is named any more."""
    made = previewed(REPO / "labs" / "blumeops", tmp_path / "made", "miniflux")
    assert {"miniflux", "postgresql", "caddy"} <= made.lab.services.keys()
    assert made.lab.services.keys() & {"grafana", "jellyfin", "borgmatic", "zot"} == set()


def test_what_comes_from_the_description_comes_over_as_it_was(tmp_path: Path) -> None:
    """Texts that YAML would take for something else, lists of who may, Compose files, the lab's own apps."""
    folder = tmp_path / "lab"
    shutil.copytree(REPO / "tests/e2e/apps/web", folder / "apps/web")
    (folder / "services").mkdir()
    (folder / "compose").mkdir()
    (folder / "lab.yaml").write_text(
        "lab: odd\nhosts: {server: {os: linux, role: compute}}\n"
        "people: {anna: {login: a@example.org}}\nnetwork: {proxy: caddy, tailnet: example.ts.net}\n"
        "gitops: {heal: false, url: 'https://forge.example.org/a/odd.git', exposure: refuse}\n"
    )
    (folder / "compose/both.yaml").write_text(
        "services:\n  web: {image: 'docker.io/library/nginx:1.27', ports: ['8080:80'], depends_on: [store]}\n"
        "  store: {image: 'docker.io/library/redis:7.4'}\n"
    )
    (folder / "services/all.yaml").write_text(
        "caddy: {host: server}\n"
        "web: {host: server, allow: [anna, both], env: {A: 'yes', B: '0x10', C: '1e3', D: 'é ', F: '~'}}\n"
        "both: {host: server, compose: compose/both.yaml}\n"
    )
    before = passed(folder).lab
    made = previewed(folder, tmp_path / "made")
    assert made.lab.services["web"].env == before.services["web"].env
    assert made.lab.services["web"].allow == ("anna", "both")
    assert made.lab.services.keys() == before.services.keys()
    assert made.lab.settings.gitops.heal is False
    assert made.lab.settings.gitops.url is None
    alone = previewed(folder, tmp_path / "alone", "web").lab
    assert alone.services.keys() == {"caddy", "web"}
    assert alone.services["web"].allow == ("anna",)
    parts = previewed(folder, tmp_path / "parts", "both-store").lab
    assert parts.services.keys() == {"caddy", "both", "both-store"}


def test_jobs_and_what_is_not_there_are_refused() -> None:
    """With what was meant, where that can be guessed."""
    checked = passed(REPO / "labs" / "blumeops")
    with pytest.raises(UserError, match="did you mean miniflux"):
        wanted_services(checked, ["miniflx"])
    with pytest.raises(UserError, match="is a job"):
        wanted_services(checked, ["borgmatic"])


def test_what_somebody_else_issues_is_known() -> None:
    """Of what runs here; what is built in needs none of it."""
    checked = passed(REPO / "labs" / "blumeops")
    assert "onepassword-connect" in issued_elsewhere(checked, ()).values()
    assert "onepassword-connect" not in issued_elsewhere(checked, {"onepassword-connect"}).values()


def test_what_was_killed_before_its_note_is_swept_away(tmp_path: Path) -> None:
    """The folder without a note goes, and with the last one that of all previews; one with a note stays."""
    site = SiteFolder(tmp_path / "state")
    (site_of(site, "half").path / "manager").mkdir(parents=True)
    whole = site_of(site, "whole").path
    whole.mkdir()
    (whole / NOTE).touch()
    sweep(site_of(site, "half"))
    sweep(site_of(site, "whole"))
    assert [path.name for path in site.previews.iterdir() if path.is_dir()] == ["whole"]
    shutil.rmtree(whole)
    sweep(site_of(site, "half"))
    assert not site.previews.exists()
