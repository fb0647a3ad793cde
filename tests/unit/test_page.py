"""The page in place of a service: what it says, and that nothing in it is more than text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from blumeops.render.page import POLICY, Down, page

DOWN = Down(
    service="feed", about="miniflux 2.2.6", heading="feed is down", state="waits", mood="wait",
    since="2026-11-25T15:52:31.797Z", reason="waits for postgresql", command="brew install miniflux",
    change="restarted", changed="2026-11-25T15:50:00.000Z",
)  # fmt: skip
TAGS = re.compile(r"<[^>]*>")


def test_it_says_which_since_when_and_why() -> None:
    """All that is known stands in it, and what is not known leaves no empty row."""
    text = page(DOWN)
    for words in (
        "feed is down",
        "waits for postgresql",
        "2026-11-25 15:52:31 UTC",
        "brew install miniflux",
        "restarted",
    ):
        assert words in text
    assert "To get it" not in page(replace(DOWN, command=""))
    assert "Last change" not in page(replace(DOWN, change=""))


@given(st.text(max_size=40) | st.sampled_from(["<script>", "</pre><b>", '"><i>', "$rows", "${style}", "{http.host}"]))
def test_whatever_a_service_prints_is_only_text(text: str) -> None:
    """The page has the same tags, whatever the words are."""
    names = [field.name for field in fields(Down)]
    hostile = page(Down(**dict.fromkeys(names, f"x{text}")))
    plain = page(Down(**dict.fromkeys(names, "x")))
    assert [tag.split()[0] for tag in TAGS.findall(hostile)] == [tag.split()[0] for tag in TAGS.findall(plain)]


def test_only_its_own_script_runs() -> None:
    """The policy names the digest of the very script, and nothing is fetched from anywhere."""
    text = page(DOWN)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in POLICY
    assert "default-src 'none'" in POLICY
    assert not re.findall(r"(src|href|url)\s*[=(]", text)
