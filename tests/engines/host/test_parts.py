"""The parts of the test hosts that need no host: reading apt's sources and Ansible's recap."""

from __future__ import annotations

from datetime import date

from .playbook import Recap, parse
from .rootfs import Recipe
from .sources import MIRROR_VARIABLE, Mirrors, Source, deb822, mirrors, one_line, seen_from_host

RECAP = """
PLAY [all] *********************************************************************

TASK [web : Write files] *******************************************************
changed: [indri] => (item=a)
changed: [indri] => (item=b)

TASK [web : Say something] *****************************************************
ok: [indri] => {
    "msg": "x : ok=9"
}

RUNNING HANDLER [web : Restart it] *********************************************
changed: [indri]

PLAY RECAP *********************************************************************
indri                      : ok=3    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
sifaka.lan                 : ok=0    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0
"""

STANZAS = """
Types: deb deb-src
# a comment, also within a stanza
URIs: http://proxy.example/debian
Suites: trixie
 trixie-updates
Components: main contrib

Types: deb
URIs: http://proxy.example/debian-security
Suites: trixie-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
"""

LINES = """
# deb http://no.example/debian x main
deb-src http://no.example/debian trixie main
deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ trixie main contrib # for tests
"""


def test_a_recap_is_read() -> None:
    """Counts by host, and the names of what changed, once each though it was a loop; other output is no recap."""
    hosts, changed = parse(RECAP)
    assert hosts == {
        "indri": Recap(ok=3, changed=2, unreachable=0, failed=0, skipped=1, rescued=0, ignored=0),
        "sifaka.lan": Recap(ok=0, changed=0, unreachable=1, failed=0, skipped=0, rescued=0, ignored=0),
    }
    assert changed == ("web : Write files", "web : Restart it")


def test_sources_are_read_in_both_forms() -> None:
    """Comments, options, source packages and disabled stanzas do not count."""
    assert list(one_line(LINES)) == [Source("http://a.example/debian/", ("trixie",), ("main", "contrib"))]
    assert list(deb822(STANZAS)) == [
        Source("http://proxy.example/debian", ("trixie", "trixie-updates"), ("main", "contrib")),
        Source("http://proxy.example/debian-security", ("trixie-security",), ("main",)),
    ]


def test_debians_mirror_is_known_by_its_path() -> None:
    """Whatever mirror or proxy stands before it; the environment overrules, and another distribution is none."""
    found = mirrors(deb822(STANZAS), {})
    assert found == Mirrors("http://proxy.example/debian", "http://proxy.example/debian-security")
    assert "Suites: trixie-security\n" in found.sources_list("trixie")
    assert mirrors([Source("http://a.example/ubuntu", ("noble",), ("main",))], {}) is None
    assert mirrors([], {MIRROR_VARIABLE: "http://b.example/deb"}) == Mirrors("http://b.example/deb", None)


def test_a_proxy_on_the_machines_loopback_is_reached_by_the_gateway() -> None:
    """What is 127.0.0.1 to the machine is the gateway to a host; other addresses stay."""
    settings = 'Acquire::http::Proxy "http://127.0.0.1:3142/";\nAcquire::https::Proxy "http://proxy.example/";\n'
    assert seen_from_host(settings, "10.0.2.2") == settings.replace("127.0.0.1", "10.0.2.2")


def test_an_image_is_remade_when_its_recipe_or_the_month_changes() -> None:
    """The key tells images apart by mirror, settings, certificates and month, and by nothing else."""
    recipe = Recipe(Mirrors("http://a.example/debian", None), "", {})
    others = [
        Recipe(Mirrors("http://b.example/debian", None), "", {}),
        Recipe(recipe.mirrors, "Acquire::Retries 3;", {}),
        Recipe(recipe.mirrors, "", {"own.crt": b"x"}),
    ]
    keys = {one.key(date(2025, 1, 1)) for one in (recipe, *others)} | {recipe.key(date(2025, 2, 1))}
    assert len(keys) == 5
    assert recipe.key(date(2025, 1, 1)) == recipe.key(date(2025, 1, 31))
