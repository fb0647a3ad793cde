"""The API against its own description: schemathesis makes requests from it, and judges the answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.connect.server import LAB, MINIFLUX, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROGRAM = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,allow_header_conformance"
)
SETTINGS = f"""\
[parameters]
"path.vault" = "{LAB}"
"path.item" = "{MINIFLUX}"
"""


def judged(server: Server, folder: Path, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis says, with examples that are the same each time."""
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS)
    argv = [
        str(PROGRAM), "--config-file", str(settings), "run", f"{server.url}/v1/openapi.json", "--url", server.url,
        "--header", f"Authorization: Bearer {token}", "--max-examples", "15", "--seed", "1", "--no-color",
        "--generation-database", "none", "--phases", "coverage,fuzzing", "--workers", "1", "--request-timeout", "10",
        # Not those for what no schema says (two fields of one label), nor for tokens: test_tokens asks that of all.
        "--checks", CHECKS, *words,
    ]  # fmt: skip
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=170)


def test_answers_are_as_described(server: Server, tmp_path: Path) -> None:
    """Status codes, bodies, headers: none that the description does not have, and no failure of ours (5xx)."""
    done = judged(server, tmp_path, server.token("--vault", "lab", "--write"))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"[1-9][0-9]{2} passed", done.stdout), done.stdout[-3000:]
    assert "canary" not in json.dumps(server.log())


def test_a_wrong_description_would_be_found(server: Server, tmp_path: Path) -> None:
    """The judge can fail: an answer with a property that the description does not have."""
    with server.client() as client:
        description = client.get("/v1/openapi.json").json()
    del description["components"]["schemas"]["Vault"]["properties"]["name"]
    description["components"]["schemas"]["Vault"]["required"].remove("name")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(description))
    argv = [
        str(PROGRAM), "run", str(wrong), "--url", server.url, "--include-path", "/v1/vaults", "--max-examples", "2",
        "--header", f"Authorization: Bearer {server.token('--vault', 'lab')}", "--generation-database", "none",
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "Response violates schema" in done.stdout
