"""Indexes of packages: which versions there are of a wheel, or of a release at GitHub.

In: a package's name. Out: its versions. A wheel is asked of the index that pip is told to use: its environment, then
its files (https://pip.pypa.io/en/stable/topics/configuration/), then PyPI, by the Simple API
(https://packaging.python.org/specifications/simple-repository-api/), as JSON or as a page.
"""

from __future__ import annotations

import base64
import configparser
import json
import re
import sys
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import platformdirs
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from blumeops.upstream.ask import Answer, Ask, Away, ask

PYPI = "https://pypi.org/simple"
SYSTEM = Path("/etc/pip.conf")
GITHUB = "https://api.github.com"
SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_LINK = re.compile(r"<a\b([^>]{0,4096})>([^<]{1,512})</a\s*>", re.IGNORECASE)


class NoSuchPackage(Exception):
    """The index answers, and has none of that name."""


def configured_index(environment: Mapping[str, str]) -> str:
    """The address of the index that pip would ask; it may hold a name and a password."""
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if environment.get(name):
            return environment[name].rstrip("/")
    named = environment.get("PIP_CONFIG_FILE")
    files = [Path(named)] if named else [
        Path(sys.prefix) / "pip.conf", Path(platformdirs.user_config_dir("pip")) / "pip.conf",
        Path.home() / ".config" / "pip" / "pip.conf", Path.home() / ".pip" / "pip.conf", SYSTEM,
    ]  # fmt: skip
    for file in files:
        config = configparser.RawConfigParser()
        try:
            config.read(file)
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("install", "global"):
            if found := config.get(section, "index-url", fallback=""):
                return found.rstrip("/")
    return PYPI


def wheel_versions(name: str, index: str, asks: Ask = ask) -> tuple[str, ...]:
    """Those that somebody could install. Raises Away, NoSuchPackage."""
    parts = urlsplit(index)
    headers = {"Accept": SIMPLE}
    user, at, server = parts.netloc.rpartition("@")
    if at:
        said = ":".join(unquote(part) for part in user.split(":", 1))
        headers["Authorization"] = f"Basic {base64.b64encode(said.encode()).decode()}"
    address = urlunsplit((parts.scheme, server, f"{parts.path}/{quote(canonicalize_name(name))}/", "", ""))
    answer = _found(asks("GET", address, headers))
    json_said = "json" in answer.headers.get("content-type", "")
    files = _files_of_json(answer) if json_said else _files_of_page(answer)
    return tuple(dict.fromkeys(version for file in files if (version := _version_of(file))))


def release_versions(repository: str, asks: Ask = ask) -> tuple[str, ...]:
    """The tags of a repository's newest releases at GitHub. Raises Away, NoSuchPackage."""
    address = f"{GITHUB}/repos/{quote(repository)}/releases?per_page=100"
    told = _json(_found(asks("GET", address, {"Accept": "application/vnd.github+json"})))
    return tuple(
        str(each["tag_name"])
        for each in (told if isinstance(told, list) else ())
        if isinstance(each, dict) and "tag_name" in each and not each.get("draft") and not each.get("prerelease")
    )


def _found(answer: Answer) -> Answer:
    if answer.status == 404:
        raise NoSuchPackage("has none of that name")
    if answer.status != 200:
        words = {403: "has been asked too often, or shows it to nobody", 429: "has been asked too often"}
        raise Away(words.get(answer.status, f"answers {answer.status}"))
    return answer


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Away("answers with what is no JSON") from None


def _files_of_json(answer: Answer) -> Iterator[str]:
    told = _json(answer)
    files = told.get("files") if isinstance(told, dict) else None
    for each in files if isinstance(files, list) else ():
        if isinstance(each, dict) and isinstance(each.get("filename"), str) and not each.get("yanked"):
            yield each["filename"]


def _files_of_page(answer: Answer) -> Iterator[str]:
    for attributes, name in _LINK.findall(answer.body.decode(errors="replace")):
        if "data-yanked" not in attributes:
            yield unescape(name).strip()


def _version_of(file: str) -> str:
    """The version in a file's name; empty for a file of another kind."""
    try:
        return str(parse_wheel_filename(file)[1] if file.endswith(".whl") else parse_sdist_filename(file)[1])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""
