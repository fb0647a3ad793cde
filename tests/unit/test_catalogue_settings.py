"""Settings that programs refuse, or pass over in silence, when they are misspelt: held against those programs' sources.

zot ends at once for a key that it does not know (https://github.com/project-zot/zot/blob/v2.1.20/pkg/cli/server/root.go,
UnmarshalExact); Forgejo reads a key of another name never.
"""

from __future__ import annotations

import configparser
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

CATALOGUE = Path(__file__).resolve().parents[2] / "src" / "blumeops" / "catalogue"

ZOT: Mapping[str, type] = {
    # https://github.com/project-zot/zot/blob/v2.1.20/pkg/api/config/config.go
    "distSpecVersion": str,
    "storage.rootDirectory": str,
    "http.address": str,
    "http.port": str,
    "http.compat": list,
    "log.level": str,
    # https://github.com/project-zot/zot/blob/v2.1.20/pkg/extensions/config/config.go
    "extensions.metrics.enable": bool,
    "extensions.metrics.prometheus.path": str,
}
FORGEJO = {
    # https://codeberg.org/forgejo/forgejo/src/branch/v15.0/forgejo/custom/conf/app.example.ini
    "before the first": {"WORK_PATH"},
    "server": {
        "ROOT_URL", "HTTP_ADDR", "HTTP_PORT", "APP_DATA_PATH", "DISABLE_SSH", "START_SSH_SERVER", "SSH_PORT",
        "SSH_LISTEN_PORT", "SSH_LISTEN_HOST", "SSH_DOMAIN", "SSH_USER", "BUILTIN_SSH_SERVER_USER",
        "SSH_SERVER_HOST_KEYS",
    },
    "repository": {"ROOT"},
    "database": {"DB_TYPE", "PATH"},
    "security": {"INSTALL_LOCK", "SECRET_KEY_URI", "INTERNAL_TOKEN_URI"},
    "oauth2": {"JWT_SECRET_URI"},
    "service": {"DISABLE_REGISTRATION"},
    "metrics": {"ENABLED"},
    "log": {"MODE"},
}  # fmt: skip


def test_zot_knows_each_key() -> None:
    """By name and type; its one way to read images of Docker's form is called as it calls it."""
    found = dict(_leaves(json.loads((CATALOGUE / "zot" / "config.json").read_text())))
    assert {name: type(value) for name, value in found.items()} == {name: ZOT.get(name) for name in found}
    assert found["http.compat"] == ["docker2s2"]


def test_forgejo_knows_each_key() -> None:
    """In the section where it looks for it."""
    ini = configparser.RawConfigParser(default_section="none")
    ini.optionxform = str  # type: ignore[assignment, method-assign]  # as its documentation says
    ini.read_string("[before the first]\n" + (CATALOGUE / "forgejo" / "app.ini").read_text())
    unknown = {name: set(ini[name]) - FORGEJO.get(name, set()) for name in ini.sections()}
    assert not any(unknown.values()), unknown


@pytest.mark.parametrize("folder", ["Jellyfin.app/Contents/MacOS", "bin"])
def test_jellyfin_is_told_where_its_pages_are(tmp_path: Path, folder: str) -> None:
    """In the app for macOS they are not beside the program, where it looks for them; elsewhere it is told nothing.

    https://github.com/jellyfin/jellyfin-server-macos/blob/master/Jellyfin%20Server/AppDelegate.swift
    """
    program = tmp_path / folder / "jellyfin"
    pages = program.parents[1] / "Resources" / "jellyfin-web"
    for made in (program.parent, *([pages] if "app" in folder else [])):
        made.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "${JELLYFIN_WEB_DIR:-none} ${JELLYFIN_FFMPEG:-none}"\n')
    program.chmod(0o755)
    script = CATALOGUE / "jellyfin" / "serve.sh"
    env = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    said = subprocess.run(["/bin/sh", script], env=env, capture_output=True, text=True, check=True).stdout.split()
    assert said == ([str(pages), str(program.parent / "ffmpeg")] if "app" in folder else ["none", "none"])


def _leaves(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
