"""The derived policy, as Tailscale's own parser of HuJSON reads it: every text comes out as it went in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blumeops.base.findings import Place
from blumeops.facts.access.document import Document, Entry
from blumeops.render.tailscale import render, text
from tests.unit.test_render_kubernetes_text import HOSTILE
from tests.written import passed

MODULE = Path(__file__).parent / "reader"
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(HOSTILE)


@cache
def reader() -> Path:
    """Tailscale's parser as a program (`reader/`)."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: the reader cannot be built")
    program = Path(os.environ["BLUMEOPS_TEST_CACHE"]) / "hujson"
    command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(program), "."]
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(command, cwd=MODULE, env=env, capture_output=True, text=True, check=False)
    if "lookup" in done.stderr or "Forbidden" in done.stderr:
        pytest.skip("the parser's source cannot be had")
    assert done.returncode == 0, done.stderr
    return program


def read(hujson: str) -> Any:
    """The value of a text. Raises ValueError with what the parser says."""
    done = subprocess.run([reader()], input=hujson.encode(), capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode())
    return json.loads(done.stdout)


@settings(deadline=None, max_examples=25)
@given(st.lists(ANY, min_size=10, max_size=30))
def test_every_text_comes_out_as_it_went_in(texts: list[str]) -> None:
    """As a value, as a key, in a list that is too long for one line; and no comment ends where it should not."""
    entries = tuple(
        Entry({"src": [each], "dst": list(texts), "ip": ["*"]}, Place(each, 1, 1), f"{each}: why") for each in texts
    )
    keys = dict.fromkeys(each.removeprefix("=") for each in texts)
    groups = tuple(Entry([each], Place(each, 1, 1), each, key) for key, each in zip(keys, texts, strict=False) if key)
    titles = {("grants", 0): texts[0]}
    found = read(text(Document({"groups": groups, "grants": entries}, titles), texts[-1]))
    assert found["grants"] == [{"src": [each], "dst": texts, "ip": ["*"]} for each in texts]
    assert found.get("groups", {}) == {each.key: each.value for each in groups}


def test_a_lab_with_odd_names_of_files_and_people(tmp_path: Path) -> None:
    """What a person may write: a login with quotes, a file whose name holds the signs of comments."""
    login = "o'b\"ri\\en{{x}}//é@example.com"
    lab = "lab: small\nhosts: {box: {os: linux, role: compute}}\nclusters: {pods: {host: box}}\n"
    lab += "network: {tailnet: example.ts.net}\n" + json.dumps({"people": {"ann": {"login": login}}})[1:-1] + "\n"
    odd = 'a */ "b" \\ {c} \u2028 é.yaml'
    made = passed(tmp_path, {"lab.yaml": lab, f"services/{odd}": "kiwix: {cluster: pods, allow: [members]}\n"})
    policy = read(render(made).text("tailscale/policy.hujson"))
    assert policy["groups"]["group:members"] == [login]


def test_the_parser_refuses_what_is_none() -> None:
    """A string without its end."""
    with pytest.raises(ValueError, match="hujson"):
        read('{"a": "b}')
