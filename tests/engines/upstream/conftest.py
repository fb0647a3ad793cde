"""Registries for these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.upstream.registry import Registry, running
from tests.engines.upstream.tokens import ISSUER, SERVICE, Tokens, token_server
from tests.ports import free_port


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """One that everybody may read and write."""
    with running(_folder(tmp_path), free_port()) as found:
        yield found


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Registry, Tokens]]:
    """One that wants a token for everything."""
    folder = _folder(tmp_path)
    with token_server() as tokens:
        auth = {"token": {
            "realm": f"http://127.0.0.1:{tokens.port}/token", "service": SERVICE, "issuer": ISSUER,
            "rootcertbundle": str(tokens.bundle(folder / "bundle.pem")),
        }}  # fmt: skip
        with running(folder, free_port(), auth=auth) as found:
            yield found, tokens


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    return folder
